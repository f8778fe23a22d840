"""What stands between libav and a camera while its stream is opened."""
