"""The sound of sources: what is heard in it, and what is played to the other side of a call."""
