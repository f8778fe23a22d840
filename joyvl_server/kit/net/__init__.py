"""The network: what sources may reach, and the one HTTP client."""
