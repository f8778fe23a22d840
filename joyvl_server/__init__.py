"""A self-hosted server that is present in a live video."""

__version__ = "0.1.0"
