"""A front worker: HTTP on the public port, the fast lane, requests to the model's process."""
