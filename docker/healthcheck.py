"""Ends with 0 when the server in this container answers, over HTTP or with its own certificate over HTTPS."""

import http.client
import os
import ssl
import sys

port = int(os.environ.get("JOYVL_SERVER__PORT") or 8099)
unverified = ssl._create_unverified_context()  # on loopback, to a certificate that may be self-signed
for connection in (
    http.client.HTTPConnection("127.0.0.1", port, timeout=2),
    http.client.HTTPSConnection("127.0.0.1", port, timeout=2, context=unverified),
):
    try:
        connection.request("GET", "/healthz")
        if connection.getresponse().status == 200:
            sys.exit(0)
    except (OSError, http.client.HTTPException):
        pass
sys.exit(f"No server answers on port {port}.")
