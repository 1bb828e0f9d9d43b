"""Defaults of pods and pod templates."""

from __future__ import annotations

from typing import Any

from kubesim.resources import Object

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
NODE_PORT_KINDS = ("containers", "initContainers", "ephemeralContainers")


def pod(obj: Object) -> None:
    spec = obj["spec"]
    for container in all_containers(spec):
        _limits_are_requests(container.get("resources"))
    if "enableServiceLinks" not in spec:
        spec["enableServiceLinks"] = True
    _limits_are_requests(spec.get("resources"))
    pod_spec(spec)


def pod_template(obj: Object) -> None:
    pod_spec(obj["template"]["spec"])


def template(spec: Object) -> None:
    """The pod template of a workload's spec."""
    if spec.get("template"):
        pod_spec(spec["template"].setdefault("spec", {}))


def all_containers(spec: Object) -> list[Object]:
    return [each for kind in ("containers", "initContainers") for each in spec.get(kind) or ()]


def _limits_are_requests(resources: Object | None) -> None:
    """Requests that are not set are what is the limit."""
    if resources and resources.get("limits"):
        requests = dict(resources.get("requests") or {})
        for name, amount in resources["limits"].items():
            requests.setdefault(name, amount)
        resources["requests"] = requests


def pod_spec(spec: Object) -> None:
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        name = spec.get("serviceAccountName") or spec["serviceAccount"]
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    for kind in NODE_PORT_KINDS:
        for each in spec.get(kind) or ():
            container(each, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _volume(volume)


def container(each: Object, *, host_network: bool = False) -> None:
    if not each.get("imagePullPolicy") and each.get("image"):
        each["imagePullPolicy"] = "Always" if _tag(each["image"]) == "latest" else "IfNotPresent"
    elif not each.get("imagePullPolicy"):
        each["imagePullPolicy"] = "IfNotPresent"
    each.setdefault("terminationMessagePath", "/dev/termination-log")
    each.setdefault("terminationMessagePolicy", "File")
    for port in each.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network and not port.get("hostPort") and port.get("containerPort"):
            port["hostPort"] = port["containerPort"]
    for env in each.get("env") or ():
        reference = (env.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for name in PROBES:
        if each.get(name):
            _probe(each[name])
    lifecycle = each.get("lifecycle") or {}
    for hook in ("postStart", "preStop"):
        _http_get((lifecycle.get(hook) or {}).get("httpGet"))


def _tag(image: str) -> str:
    """The tag of an image's name; "latest" where it has neither tag nor digest."""
    name = image.rpartition("/")[2]
    if "@" in name:
        before = name.partition("@")[0]
        return before.partition(":")[2]
    return name.partition(":")[2] or "latest"


def _probe(probe: Object) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _http_get(probe.get("httpGet"))
    if probe.get("grpc") is not None:
        probe["grpc"].setdefault("service", "")


def _http_get(action: Object | None) -> None:
    if action is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _volume(volume: Object) -> None:
    sources = [key for key in volume if key != "name"]
    if not sources:
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if volume.get(kind) is not None:
            volume[kind].setdefault("defaultMode", 420)
    if volume.get("hostPath") is not None:
        volume["hostPath"].setdefault("type", "")
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        _field_ref(item)
    for source in (volume.get("projected") or {}).get("sources") or ():
        if source.get("serviceAccountToken") is not None:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            _field_ref(item)
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    iscsi = volume.get("iscsi")
    if iscsi is not None:
        iscsi.setdefault("iscsiInterface", "default")


def _field_ref(item: dict[str, Any]) -> None:
    if item.get("fieldRef") is not None:
        item["fieldRef"].setdefault("apiVersion", "v1")
