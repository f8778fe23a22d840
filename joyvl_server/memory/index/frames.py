"""What goes over the connection to the index process; the bytes of a message are vectors.

Ours: {"op": "open", "folder" or "url" and "key"}, then {"id": 7, "op": …} (see `worker`), {"op": "ping"}. Theirs:
{"event": "ready"}, {"event": "failed", "message"}, {"event": "pong"}, and for each request {"id": 7, "result": …} or
{"id": 7, "error": …, "code": …}. Vectors are rows of little-endian 4-byte floats.
"""

from __future__ import annotations

from joyvl_server.kit.processes.messages import MessageFormat

FORMAT = MessageFormat(max_head=4 * 1024 * 1024, max_data=64 * 1024 * 1024)
VECTOR = "<f4"
