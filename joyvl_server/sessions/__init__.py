"""The async shell: runs one observer per source, owns its tasks, keeps the registry of cameras, calls and sessions."""
