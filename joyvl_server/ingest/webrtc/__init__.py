"""Calls over WebRTC: offers, the peer connection, a jitter buffer that returns pictures at once."""
