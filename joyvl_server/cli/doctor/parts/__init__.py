"""What the doctor looks at in the parts of the server."""
