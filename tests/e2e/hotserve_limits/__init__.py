"""What a client may not do to hotserve: each gets an error as JSON, and the others go on."""
