"""What a user sets: the command line, its variables, and the addresses in them."""
