"""What a Notebook stands for: a StatefulSet of one pod, and a Service on port 80 in front of it. Pure.

As in stock Kubeflow: the Notebook's labels go to its pod (that is how PodDefaults reach it), the first container serves on 8888 unless it
names a port, works in /home/jovyan unless it names a folder, and is told its URL prefix in NB_PREFIX.
"""

from __future__ import annotations

from kubeflow_lite.objects import Object, annotation, labels, metadata, name, namespace, owner_reference

PORT = 8888
STOPPED = "kubeflow-resource-stopped"
NAME_LABEL = "notebook-name"
MANAGED_BY = {"app.kubernetes.io/managed-by": "notebook-controller"}
LONGEST_NAME = 52
"""A StatefulSet's pods carry its name and a hash in one label of 63 characters."""


def desired(notebook: Object) -> list[Object]:
    """To be applied (server-side), in this order: the Service first, so that the pod's name resolves when it starts."""
    return [_service(notebook), _stateful_set(notebook)]


def complaint(notebook: Object) -> str:
    """Why no StatefulSet can be made of this Notebook, or ''."""
    if len(name(notebook)) > LONGEST_NAME:
        return f"the name {name(notebook)!r} is longer than {LONGEST_NAME} characters, which leaves no room for the pod's labels"
    return ""


def prefix(notebook: Object) -> str:
    return f"/notebook/{namespace(notebook)}/{name(notebook)}"


def _stateful_set(notebook: Object) -> Object:
    template = notebook["spec"]["template"]["spec"]
    first, *others = template["containers"]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(notebook),
        "spec": {
            "replicas": 0 if annotation(notebook, STOPPED) is not None else 1,
            "serviceName": name(notebook),
            "selector": {"matchLabels": _selector(notebook)},
            "template": {
                "metadata": {"labels": {**labels(notebook), **_selector(notebook), NAME_LABEL: name(notebook)}},
                "spec": {
                    "securityContext": {"fsGroup": 100},
                    **template,
                    "containers": [_serving(first, notebook), *others],
                },
            },
        },
    }


def _serving(container: Object, notebook: Object) -> Object:
    env = [one for one in container.get("env") or [] if one["name"] != "NB_PREFIX"]
    return {
        "workingDir": "/home/jovyan",
        "ports": [{"name": "notebook-port", "containerPort": PORT, "protocol": "TCP"}],
        **{key: value for key, value in container.items() if value not in (None, "", [])},
        "env": [*env, {"name": "NB_PREFIX", "value": prefix(notebook)}],
    }


def _service(notebook: Object) -> Object:
    ports = notebook["spec"]["template"]["spec"]["containers"][0].get("ports") or [{"containerPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(notebook),
        "spec": {
            "type": "ClusterIP",
            "selector": _selector(notebook),
            # A port's name holds 15 characters; stock's "http-<name>" refuses longer Notebooks.
            "ports": [{"name": "http", "port": 80, "targetPort": ports[0]["containerPort"], "protocol": "TCP"}],
        },
    }


def _metadata(notebook: Object) -> Object:
    return {
        "name": name(notebook),
        "namespace": namespace(notebook),
        "labels": {NAME_LABEL: name(notebook), **MANAGED_BY},
        "ownerReferences": [owner_reference(notebook)],
    }


def _selector(notebook: Object) -> dict[str, str]:
    return {"statefulset": metadata(notebook)["name"]}
