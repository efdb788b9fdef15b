"""The way to the model's own server process."""
