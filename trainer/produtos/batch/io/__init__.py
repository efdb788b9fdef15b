"""Where a batch job reads from and writes to."""
