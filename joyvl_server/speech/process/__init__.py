"""Child processes that make or understand sound: what goes over their connection, their side and ours."""
