"""HTTP and SSE: requests in, bytes out. Nothing here decides what a response is."""
