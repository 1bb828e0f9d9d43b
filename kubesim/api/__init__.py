"""The API server: a request passes the layers of `kubesim.api.app` in the order they are listed there."""
