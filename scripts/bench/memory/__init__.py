"""What memory and timeline cost: recall, search."""
