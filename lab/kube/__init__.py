"""What talks to the cluster: requests, manifests, applying them and waiting, and why something is not ready in Kubernetes's own words."""

from lab.kube.cluster import FIELD_MANAGER, Cluster, Kind, NotServed, Object, Objects, Refused

__all__ = ["FIELD_MANAGER", "Cluster", "Kind", "NotServed", "Object", "Objects", "Refused"]
