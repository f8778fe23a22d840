"""What alerts know of the server."""
