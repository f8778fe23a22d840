"""Agents that speak the Agent Client Protocol (agentclientprotocol.com) over standard input and output."""
