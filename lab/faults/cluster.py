"""Faults of the cluster: sign-in, ownership, PodDefaults, MLflow, RBAC, quota, images, volumes."""

from __future__ import annotations

import threading

import yaml

from lab.errors import LabError
from lab.faults.base import Fault
from lab.kube import Object, Refused, ready
from lab.kube.apply import until_ready
from lab.messages import mark, t
from lab.settings import Tenant
from lab.tenancy import tenants, users
from lab.world import World

APPS = "apps/v1"
STRANGER = "user@example.com"
DOOR = "mlops-lab-open-door"
HOG = "quota-hog"
CLAIM = "unbound-claim"
MISSING = "mlops-lab/mlflow:does-not-exist"
PAUSE = {
    "name": "pause",
    "image": "mlops-lab/mlflow:1",
    "command": ["sleep", "infinity"],
    "imagePullPolicy": "IfNotPresent",
}


def _own_kubeconfig(world: World, tenant: Tenant) -> Object:
    path = users.kubeconfig_path(world.settings, tenant)
    try:
        found: Object = yaml.safe_load(path.read_text())
        return found
    except (OSError, yaml.YAMLError):
        raise LabError(t("{path} cannot be read", path=path), f"./inv up --tenants {tenant.num}") from None


def break_sign_in(world: World, tenant: Tenant) -> None:
    """Its credentials are replaced by one the cluster does not know: what a kubeconfig of another or older cluster looks like.

    All of them: a student who has typed `aws eks update-kubeconfig` before has two contexts in it.
    """
    config = _own_kubeconfig(world, tenant)
    for entry in config["users"]:
        entry["user"] = {"token": "k8s-aws-v1.of-another-cluster"}
    users.write_private(users.kubeconfig_path(world.settings, tenant), yaml.safe_dump(config, sort_keys=False))


def mend_sign_in(world: World, tenant: Tenant) -> None:
    users.kubeconfig_path(world.settings, tenant).unlink(missing_ok=True)
    users.provide_kubeconfig(world.cluster, world.settings, tenant, tenants.groups(tenant))


def sign_in_broken(world: World, tenant: Tenant) -> bool:
    try:
        world.cluster_as(tenant).get("kubeflow.org/v1", "Profile", tenant.profile)
    except Refused as error:
        return error.unknown
    return False


def set_owner(world: World, tenant: Tenant, owner: str) -> None:
    """As in stock Kubeflow the controller then refuses the Profile, whose namespace is another's, and touches nothing else."""
    world.cluster.patch("kubeflow.org/v1", "Profile", tenant.profile, {"spec": {"owner": {"name": owner}}})
    wanted = "True" if owner == tenant.email else "False"
    world.cluster.wait(
        lambda: (
            None
            if _ready(world, tenant) == wanted
            else t("Profile {profile}: Ready is not yet {wanted}", profile=tenant.profile, wanted=wanted)
        ),
        seconds=30,
        cancelled=threading.Event(),
    )


def _ready(world: World, tenant: Tenant) -> str:
    found = world.cluster.get("kubeflow.org/v1", "Profile", tenant.profile)
    return str(ready.condition(found, "Ready").get("status"))


def owner_is_wrong(world: World, tenant: Tenant) -> bool:
    found = world.cluster.find("kubeflow.org/v1", "Profile", tenant.profile)
    return found is not None and found["spec"]["owner"]["name"] != tenant.email


def remove_pod_default(world: World, tenant: Tenant) -> None:
    world.cluster.delete("kubeflow.org/v1alpha1", "PodDefault", "access-mlflow", tenant.namespace)


def restore_pod_default(world: World, tenant: Tenant) -> None:
    for item in tenants.pod_defaults(world.settings, tenant):
        world.cluster.apply(item)


def pod_default_is_missing(world: World, tenant: Tenant) -> bool:
    return world.cluster.find("kubeflow.org/v1alpha1", "PodDefault", "access-mlflow", tenant.namespace) is None


def _scale(world: World, kind: str, name: str, namespace: str, replicas: int) -> None:
    world.cluster.patch(APPS, kind, name, {"spec": {"replicas": replicas}}, namespace)
    found = world.cluster.get(APPS, kind, name, namespace)
    if replicas:
        until_ready(
            world.cluster, [{"apiVersion": APPS, "kind": kind} | found], cancelled=threading.Event(), seconds=60
        )
        return
    world.cluster.wait(
        lambda: (
            t("{kind} {name} still has pods", kind=kind, name=name)
            if world.cluster.get(APPS, kind, name, namespace)["status"].get("readyReplicas")
            else None
        ),
        seconds=60,
        cancelled=threading.Event(),
    )


def _asks_for(world: World, kind: str, name: str, namespace: str) -> int:
    found = world.cluster.find(APPS, kind, name, namespace) or {"spec": {"replicas": 0}}
    return int(found["spec"].get("replicas", 1))


def stop_mlflow(world: World, tenant: Tenant) -> None:
    _scale(world, "Deployment", "mlflow-server", tenant.namespace, 0)


def start_mlflow(world: World, tenant: Tenant) -> None:
    _scale(world, "Deployment", "mlflow-server", tenant.namespace, 1)


def mlflow_is_stopped(world: World, tenant: Tenant) -> bool:
    return _asks_for(world, "Deployment", "mlflow-server", tenant.namespace) == 0


def stop_postgres(world: World, tenant: Tenant) -> None:
    _scale(world, "StatefulSet", "postgres", "mlflow-system", 0)


def start_postgres(world: World, tenant: Tenant) -> None:
    _scale(world, "StatefulSet", "postgres", "mlflow-system", 1)


def postgres_is_stopped(world: World, tenant: Tenant) -> bool:
    return _asks_for(world, "StatefulSet", "postgres", "mlflow-system") == 0


def neighbour(world: World, tenant: Tenant) -> Tenant:
    """The tenant whose door is opened: the one that the isolation checks try."""
    from lab.verify import other

    return other(world, tenant)


def open_door(world: World, tenant: Tenant) -> None:
    binding = {
        "apiVersion": tenants.RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": DOOR, "namespace": neighbour(world, tenant).namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": tenant.email}],
    }
    world.cluster.apply(binding)


def close_door(world: World, tenant: Tenant) -> None:
    world.cluster.delete(tenants.RBAC, "RoleBinding", DOOR, neighbour(world, tenant).namespace)


def door_is_open(world: World, tenant: Tenant) -> bool:
    return world.cluster.find(tenants.RBAC, "RoleBinding", DOOR, neighbour(world, tenant).namespace) is not None


def exhaust_quota(world: World, tenant: Tenant) -> None:
    """A Deployment whose pods together ask for more than the quota: the last one cannot be created."""
    half = {"cpu": f"{int(tenant.cpu) * 1000 * 6 // 10}m", "memory": "64Mi"}
    pod = {
        "containers": [PAUSE | {"resources": {"requests": half, "limits": half}}],
        "terminationGracePeriodSeconds": 1,
    }
    labels = {"app": HOG}
    hog: Object = {
        "apiVersion": APPS,
        "kind": "Deployment",
        "metadata": {"name": HOG, "namespace": tenant.namespace, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    world.cluster.apply(hog)
    world.cluster.wait(
        lambda: (
            None
            if _refused_pods(world, tenant)
            else t(
                "Deployment {name} in {namespace} does not exceed the quota yet", name=HOG, namespace=tenant.namespace
            )
        ),
        seconds=30,
        cancelled=threading.Event(),
    )


def _refused_pods(world: World, tenant: Tenant) -> bool:
    found = world.cluster.find(APPS, "Deployment", HOG, tenant.namespace) or {}
    return ready.condition(found, "ReplicaFailure").get("status") == "True"


def free_quota(world: World, tenant: Tenant) -> None:
    world.cluster.delete(APPS, "Deployment", HOG, tenant.namespace, propagation="Foreground")
    world.cluster.wait(
        lambda: (
            t("pods of {name} still there", name=HOG)
            if world.cluster.list("v1", "Pod", tenant.namespace, labels=f"app={HOG}")
            else None
        ),
        seconds=60,
        cancelled=threading.Event(),
    )


def quota_is_exhausted(world: World, tenant: Tenant) -> bool:
    return world.cluster.find(APPS, "Deployment", HOG, tenant.namespace) is not None


def _server_image(world: World, tenant: Tenant) -> str:
    found = world.cluster.get(APPS, "Deployment", "mlflow-server", tenant.namespace)
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def wrong_image(world: World, tenant: Tenant) -> None:
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": MISSING}]
    path = world.cluster.kind(APPS, "Deployment").path(tenant.namespace, "mlflow-server")
    world.cluster.request("PATCH", path, patch, content_type="application/json-patch+json")
    world.cluster.wait(
        lambda: (
            None
            if ready.explain(world.cluster.list("v1", "Pod", tenant.namespace), [])
            else t("no pod asks for the missing image yet")
        ),
        seconds=30,
        cancelled=threading.Event(),
    )


def right_image(world: World, tenant: Tenant) -> None:
    servers = [
        world.cluster.apply(item) for item in tenants.mlflow(world.settings, tenant) if item["kind"] == "Deployment"
    ]
    until_ready(world.cluster, servers, cancelled=threading.Event(), seconds=60)
    world.cluster.wait(
        lambda: "; ".join(ready.explain(world.cluster.list("v1", "Pod", tenant.namespace), [])) or None,
        seconds=60,
        cancelled=threading.Event(),
    )


def image_is_wrong(world: World, tenant: Tenant) -> bool:
    return _server_image(world, tenant) == MISSING


def claim_unbound(world: World, tenant: Tenant) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "does-not-exist",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    meta = {"name": CLAIM, "namespace": tenant.namespace}
    world.cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec})


def remove_claim(world: World, tenant: Tenant) -> None:
    world.cluster.delete("v1", "PersistentVolumeClaim", CLAIM, tenant.namespace)
    world.cluster.wait(
        lambda: t("PVC {name} still there", name=CLAIM) if claim_is_unbound(world, tenant) else None,
        seconds=30,
        cancelled=threading.Event(),
    )


def claim_is_unbound(world: World, tenant: Tenant) -> bool:
    return world.cluster.find("v1", "PersistentVolumeClaim", CLAIM, tenant.namespace) is not None


# What is seen in words of the lab's, not of a program's.
_OWNED = mark("owner of {profile}: expected {email}, found user@example.com")
_OPEN = mark("kubectl get pods -n <another tenant's namespace> lists pods instead of Forbidden")
FAULTS = (
    Fault(
        "unauthorized-kubeconfig",
        mark("kubeconfig is not accepted"),
        "error: You must be logged in to the server (Unauthorized)",
        "aws eks update-kubeconfig --region {region} --name {cluster}",
        ("KF01", "ML01"),
        break_sign_in,
        mend_sign_in,
        sign_in_broken,
        "aws eks update-kubeconfig --region {region} --name {cluster}",
    ),
    Fault(
        "owner-mismatch",
        mark("Profile has another owner"),
        _OWNED,
        'kubectl patch profile {profile} --type=merge -p \'{{"spec":{{"owner":{{"name":"{email}"}}}}}}\'',
        ("KF02", "ML02"),
        lambda world, tenant: set_owner(world, tenant, STRANGER),
        lambda world, tenant: set_owner(world, tenant, tenant.email),
        owner_is_wrong,
        'kubectl patch profile {profile} --type=merge -p \'{{"spec":{{"owner":{{"name":"{email}"}}}}}}\'',
    ),
    Fault(
        "poddefault-missing",
        mark("PodDefault access-mlflow is gone"),
        'Error from server (NotFound): poddefaults.kubeflow.org "access-mlflow" not found',
        mark("the instructor recreates it: ./inv up --tenants {num}"),
        ("KF06", "ML05"),
        remove_pod_default,
        restore_pod_default,
        pod_default_is_missing,
        "./inv up --tenants {num}",
    ),
    Fault(
        "mlflow-down",
        mark("MLflow server does not run"),
        "No resources found in {namespace} namespace (kubectl get pods -l app=mlflow-server)",
        "kubectl scale deployment mlflow-server -n {namespace} --replicas=1",
        ("ML06",),
        stop_mlflow,
        start_mlflow,
        mlflow_is_stopped,
        "kubectl get pods -n {namespace} -l app=mlflow-server",
    ),
    Fault(
        "cross-tenant-access",
        mark("another tenant's namespace is readable"),
        _OPEN,
        mark(
            "the instructor removes the RoleBinding: kubectl delete rolebinding mlops-lab-open-door -n <that namespace>"
        ),
        ("KF08", "ML07"),
        open_door,
        close_door,
        door_is_open,
        "kubectl get rolebindings",
    ),
    Fault(
        "quota-exhausted",
        mark("the namespace's quota is used up"),
        'pods "quota-hog-..." is forbidden: exceeded quota: kf-resource-quota',
        f"kubectl delete deployment {HOG} -n {{namespace}}",
        ("KF07",),
        exhaust_quota,
        free_quota,
        quota_is_exhausted,
        "kubectl describe quota -n {namespace}",
    ),
    Fault(
        "image-not-found",
        mark("a pod's image does not exist"),
        f'Failed to pull image "{MISSING}" (ErrImagePull, ImagePullBackOff)',
        "kubectl rollout undo deployment/mlflow-server -n {namespace}",
        ("KF07",),
        wrong_image,
        right_image,
        image_is_wrong,
        "kubectl describe pods -n {namespace}",
    ),
    Fault(
        "pvc-unbound",
        mark("a PVC stays Pending"),
        'storageclass.storage.k8s.io "does-not-exist" not found',
        f"kubectl delete pvc {CLAIM} -n {{namespace}}",
        ("KF07",),
        claim_unbound,
        remove_claim,
        claim_is_unbound,
        "kubectl describe pvc -n {namespace}",
    ),
    Fault(
        "postgres-down",
        mark("PostgreSQL does not run"),
        "No resources found in mlflow-system namespace (kubectl get pods -l app=postgres)",
        "kubectl scale statefulset postgres -n mlflow-system --replicas=1",
        ("ML06",),
        stop_postgres,
        start_postgres,
        postgres_is_stopped,
        "kubectl get pods -n mlflow-system -l app=postgres",
        scope="lab",
    ),
)
