"""`make backup` and `make restore` of what `make run` keeps, with what can go wrong on the way."""
