"""Bodies of requests to rows and texts; imports nothing else of hotserve."""
