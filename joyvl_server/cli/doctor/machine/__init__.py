"""What the doctor looks at on the machine itself."""
