"""The built-in kinds controllers name in code, by `Resource.key`, and what a reference to one of them says."""

from __future__ import annotations

from kubesim.resources import Object

NAMESPACES = "v1/namespaces"
NODES = "v1/nodes"
PODS = "v1/pods"
SERVICES = "v1/services"
ENDPOINTS = "v1/endpoints"
SERVICE_ACCOUNTS = "v1/serviceaccounts"
CONFIG_MAPS = "v1/configmaps"
SECRETS = "v1/secrets"
EVENTS = "v1/events"
QUOTAS = "v1/resourcequotas"
VOLUMES = "v1/persistentvolumes"
CLAIMS = "v1/persistentvolumeclaims"
DEPLOYMENTS = "apps/v1/deployments"
REPLICA_SETS = "apps/v1/replicasets"
REPLICATION_CONTROLLERS = "v1/replicationcontrollers"
STATEFUL_SETS = "apps/v1/statefulsets"
DAEMON_SETS = "apps/v1/daemonsets"
REVISIONS = "apps/v1/controllerrevisions"
JOBS = "batch/v1/jobs"
CRON_JOBS = "batch/v1/cronjobs"
SLICES = "discovery.k8s.io/v1/endpointslices"
STORAGE_CLASSES = "storage.k8s.io/v1/storageclasses"
PRIORITY_CLASSES = "scheduling.k8s.io/v1/priorityclasses"
AUTOSCALERS = "autoscaling/v2/horizontalpodautoscalers"
BUDGETS = "policy/v1/poddisruptionbudgets"
CLUSTER_ROLES = "rbac.authorization.k8s.io/v1/clusterroles"
SIGNING_REQUESTS = "certificates.k8s.io/v1/certificatesigningrequests"
LEASES = "coordination.k8s.io/v1/leases"
CUSTOM_RESOURCES = "apiextensions.k8s.io/v1/customresourcedefinitions"
POD_METRICS = "metrics.k8s.io/v1beta1/pods"

_KINDS = {
    NAMESPACES: "Namespace",
    NODES: "Node",
    PODS: "Pod",
    SERVICES: "Service",
    ENDPOINTS: "Endpoints",
    SERVICE_ACCOUNTS: "ServiceAccount",
    CONFIG_MAPS: "ConfigMap",
    SECRETS: "Secret",
    EVENTS: "Event",
    QUOTAS: "ResourceQuota",
    VOLUMES: "PersistentVolume",
    CLAIMS: "PersistentVolumeClaim",
    DEPLOYMENTS: "Deployment",
    REPLICA_SETS: "ReplicaSet",
    REPLICATION_CONTROLLERS: "ReplicationController",
    STATEFUL_SETS: "StatefulSet",
    DAEMON_SETS: "DaemonSet",
    REVISIONS: "ControllerRevision",
    JOBS: "Job",
    CRON_JOBS: "CronJob",
    SLICES: "EndpointSlice",
    STORAGE_CLASSES: "StorageClass",
    PRIORITY_CLASSES: "PriorityClass",
    AUTOSCALERS: "HorizontalPodAutoscaler",
    BUDGETS: "PodDisruptionBudget",
    CLUSTER_ROLES: "ClusterRole",
    SIGNING_REQUESTS: "CertificateSigningRequest",
    LEASES: "Lease",
}


def type_of(resource: str) -> dict[str, str]:
    """`{"apiVersion": ..., "kind": ...}` of a built-in kind; empty for one this package does not name."""
    if resource not in _KINDS:
        return {}
    return {"apiVersion": resource.rpartition("/")[0], "kind": _KINDS[resource]}


def owner_reference(resource: str, owner: Object) -> Object:
    """A reference that makes `owner` the controller of the object that carries it."""
    return type_of(resource) | {
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
