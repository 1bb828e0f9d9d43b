"""Admission webhooks: programs outside the API server that may change an object or refuse it."""
