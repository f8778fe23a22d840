"""What goes over the connection to a speech process; the bytes of a message are sound.

Ours to the child: {"op": "start", "options": …}, {"op": "ask", "id": 7, "method": "speak", …}, {"op": "cancel", "id":
7}, {"op": "ping"}. The child's: {"event": "ready", …}, {"event": "failed", code, message}, {"event": "pong"}; and of a
request {"id": 7, "piece": {…}}, as often as it likes, then {"id": 7, "end": true} or {"id": 7, "error": {code, …}}.
"""

from __future__ import annotations

from joyvl_server.kit.processes.messages import MessageFormat

FORMAT = MessageFormat(max_head=1024 * 1024, max_data=16 * 1024 * 1024)
"""30 s of sound at 48 kHz are 3 MB."""
