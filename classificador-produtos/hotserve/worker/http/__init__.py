"""HTTP/1.1 as a worker speaks it: the protocol with its limits, and answers in its parser."""
