"""What sessions remember: they write it down, and find it again when somebody asks."""
