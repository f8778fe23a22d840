"""What the doctor looks at in the model that decides."""
