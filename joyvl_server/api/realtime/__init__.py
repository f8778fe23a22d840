"""OpenAI Realtime clients: their session bodies, their events, a WebSocket and a data channel."""
