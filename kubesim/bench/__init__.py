"""How fast an API server answers: the rows that a real kube-apiserver was measured by. See `__main__`."""
