"""`joyvl doctor`: looks at all that the server needs, and says in words what is wrong and what to do."""
