"""The messages between the manager and the workers, and the memory that they share."""
