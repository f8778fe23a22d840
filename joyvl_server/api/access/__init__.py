"""Who may do what: keys and their roles, signed-in browsers, and what each route asks for."""
