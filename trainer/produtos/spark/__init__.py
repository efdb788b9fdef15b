"""Spark: where it is, started for one command and ended with it."""
