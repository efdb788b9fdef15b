"""From a file or an address to a data set, and its splits."""
