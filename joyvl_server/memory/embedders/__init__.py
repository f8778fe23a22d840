"""What turns texts into vectors; each is found through an entry point in `joyvl.embedders`."""
