"""The node of kubesim: images, containers as processes, volumes, addresses, DNS, probes, logs and the service proxy.

The node is a client of the API (`kubesim.client.Client`) and knows nothing of the store. What must outlive the API server lives in
processes of its own: a *shim* is the parent of containers (`kubesim.node.shim`), the *proxy* carries Services (`kubesim.node.proxy`).
Both speak lines of JSON on a unix socket under the state directory and go on alone when the server is killed.
"""
