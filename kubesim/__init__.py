"""kubesim: the Kubernetes API, its controllers and one node in a single Python program; containers are processes.

It knows nothing of the lab. Imports point one way: server -> api -> {auth, admission} -> store -> the pure modules
(errors, resources, paths, selectors, patch, quantity). Controllers and the node are API clients: they see a `Client`, never the store.
"""
