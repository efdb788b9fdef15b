"""What the manager and the workers say to each other, and the memory they share."""
