"""Routes of what is remembered: memories, and what each day was."""
