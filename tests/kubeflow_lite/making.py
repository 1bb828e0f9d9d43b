"""Objects that the tests here are made of."""

from __future__ import annotations

from typing import Any

from kubeflow_lite.objects import Object


def profile(name: str = "profile-user01", owner: str = "user01@mlops.local", **spec: Any) -> Object:
    """As the API server would show it, uid and all."""
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Profile",
        "metadata": {"name": name, "uid": f"uid-of-{name}", "resourceVersion": "7"},
        "spec": {"owner": {"kind": "User", "name": owner}, **spec},
    }


def existing(desired: Object, **metadata: Any) -> Object:
    """A desired object after the API server took it."""
    return {**desired, "metadata": {**desired["metadata"], "uid": "some-uid", "resourceVersion": "41", **metadata}}


def pod(
    *containers: Object, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> Object:
    meta: Object = {"name": "train", "labels": labels or {}}
    if annotations:
        meta["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": list(containers or [{"name": "main", "image": "ops-demo:training"}]), **spec},
    }


def pod_default(
    name: str = "access-mlflow", namespace: str = "kubeflow-user01", version: str = "12", **spec: Any
) -> Object:
    return {
        "apiVersion": "kubeflow.org/v1alpha1",
        "kind": "PodDefault",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": version},
        "spec": {"selector": {}, **spec},
    }
