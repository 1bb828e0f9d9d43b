"""The way of a request, outermost layer first: each is an ASGI application around the next."""
