"""Child processes, and their certain end."""
