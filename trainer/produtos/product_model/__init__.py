"""What travels inside every logged model: its files import nothing else of the project."""
