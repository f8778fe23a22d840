"""Engines: what decides. Each is an adapter behind the protocol in `base.py`."""
