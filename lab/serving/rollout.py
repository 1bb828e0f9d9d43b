"""`invoke rollout` and `invoke rollback`: another image for the iris service, pod by pod, and back, watched until it is done.

What decides about lost requests is in k8s/05-serving.yaml: no old pod goes before a new one is ready (maxUnavailable 0), a pod goes on answering
while the cluster forgets its address (preStop), and the program closes connections only after their answer (serving's drain).
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.clusters.base import IMAGES, Image
from lab.errors import ClusterError, LabError
from lab.kube import Object, apply, ready
from lab.messages import t
from lab.world import World

NAMESPACE, NAME, CONTAINER = "mlops-serving", "iris-serving", "serving"
OURS = "ops-demo:serving"
CHANGE_CAUSE, REVISION = "kubernetes.io/change-cause", "deployment.kubernetes.io/revision"
SECONDS = 180.0
_TAG = re.compile(r"ops-demo:serving-([a-z0-9][a-z0-9._-]{0,40})")
_NAME = re.compile(r"[a-z0-9][a-zA-Z0-9._/:@-]{0,254}")
_HOPELESS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Revision:
    """One template the Deployment has had: its number, its image, and the ReplicaSet that remembers it."""

    number: int
    image: str
    replica_set: Object


def rollout(world: World, image: str, say: Say) -> None:
    """Build the image where it is one of the lab's, put it into the Deployment and watch. Raises LabError where it does not get ready."""
    deployment = _deployment(world)
    image = image or _next(_image(deployment))
    if not _NAME.fullmatch(image):
        raise LabError(
            t("--image {image!r} is no image name", image=image[:60]),
            t("for example: ./inv rollout --image {image}-v2", image=OURS),
        )
    _build(world, image, say)
    name = world.provider.image(image)
    if name == _image(deployment):
        say(t("{name} runs {image} already", name=NAME, image=image))
    template = {"spec": {"containers": [{"name": CONTAINER, "image": name, "imagePullPolicy": "IfNotPresent"}]}}
    body = {
        "metadata": {"annotations": {CHANGE_CAUSE: f"rollout to {image}"}},
        "spec": {"template": template},
    }
    _patch(world, body, "application/strategic-merge-patch+json")
    follow(world, say)
    say(t("✓ {name} runs {image}\n  → ./inv rollback goes back", name=NAME, image=image))


def rollback(world: World, revision: str, say: Say) -> None:
    """Back to the revision before this one, or to `revision`: `kubectl rollout undo`."""
    deployment = _deployment(world)
    chosen = choose(revisions(deployment, world.cluster.list("apps/v1", "ReplicaSet", NAMESPACE)), revision)
    say(t("back to revision {number}, image {image}", number=chosen.number, image=chosen.image))
    template = dict(chosen.replica_set["spec"]["template"])
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != "pod-template-hash"}
    template["metadata"] = template["metadata"] | {"labels": labels}
    cause = {
        **deployment["metadata"].get("annotations", {}),
        CHANGE_CAUSE: f"rollback to revision {chosen.number}",
    }
    steps = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "add", "path": "/metadata/annotations", "value": cause},
    ]
    _patch(world, steps, "application/json-patch+json")
    follow(world, say)
    say(t("✓ {name} runs {image}", name=NAME, image=chosen.image))


def revisions(deployment: Object, replica_sets: list[Object]) -> list[Revision]:
    """The Deployment's, oldest first; the last one is in force."""
    uid = deployment["metadata"]["uid"]
    owned = [
        one for one in replica_sets if uid in [owner["uid"] for owner in one["metadata"].get("ownerReferences", [])]
    ]
    found = [Revision(int(one["metadata"].get("annotations", {}).get(REVISION, 0)), _image(one), one) for one in owned]
    return sorted(found, key=lambda one: one.number)


def choose(found: list[Revision], text: str) -> Revision:
    """The one before the last, or the one named. Raises LabError, naming those there are."""
    known = ", ".join(f"{one.number} ({one.image})" for one in found[:-1])
    if not known:
        raise LabError(
            t("{name} has had one revision only: there is nothing to go back to", name=NAME),
            f"./inv rollout --image {OURS}-v2",
        )
    if not text:
        return found[-2]
    chosen = [one for one in found[:-1] if str(one.number) == text]
    if not chosen:
        raise LabError(
            t("{name} has no earlier revision {text!r}", name=NAME, text=text), t("there are {known}", known=known)
        )
    return chosen[0]


def follow(world: World, say: Say, *, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
    """Until every pod is of the new template and ready, a line whenever something changes.

    Raises LabError as soon as a new pod cannot start, or after `seconds`: the old pods go on answering then.
    """
    started, said = clock(), ""
    while True:
        deployment = _deployment(world)
        missing, line = ready.missing({"kind": "Deployment", **deployment}), counts(deployment)
        if line != said and _is_seen(deployment):
            say(f"{clock() - started:5.1f} s  {line}")
            said = line
        if missing is None:
            return
        _give_up(world, deployment, late=clock() - started > seconds, missing=missing)
        world.cluster.pause(0.3, t("every pod of {name} to be of this release and ready", name=NAME))


def _is_seen(deployment: Object) -> bool:
    """Whether its status speaks of the template as it is now."""
    return bool(deployment.get("status", {}).get("observedGeneration", 0) >= deployment["metadata"]["generation"])


def counts(deployment: Object) -> str:
    """ "2 of 3 pods new, 3 ready": how far it is."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    new, all_, good = (status.get(key, 0) for key in ("updatedReplicas", "replicas", "readyReplicas"))
    old = t(", {old} old", old=all_ - new) if all_ > new else ""
    return t("{new} of {wanted} pods new{old}, {good} ready", new=new, wanted=wanted, old=old, good=good)


def _give_up(world: World, deployment: Object, *, late: bool, missing: str) -> None:
    new = [
        pod
        for pod in world.cluster.list("v1", "Pod", NAMESPACE, labels=f"app={NAME}")
        if _image(pod, "spec") == _image(deployment)
    ]
    waiting = [reason for pod in new for reason in _reasons(pod)]
    if late or _HOPELESS & set(waiting):
        why = apply.why(world.cluster, {"kind": "Deployment", **deployment})
        raise ClusterError(
            "\n  ".join(
                [t("the rollout does not get on: {missing}; the old pods go on answering", missing=missing), *why]
            ),
            "./inv rollback",
        )


def _reasons(pod: Object) -> list[str]:
    states = [one.get("state", {}).get("waiting") or {} for one in pod.get("status", {}).get("containerStatuses") or []]
    return [state["reason"] for state in states if "reason" in state]


def _deployment(world: World) -> Object:
    found = world.cluster.find("apps/v1", "Deployment", NAME, NAMESPACE)
    if found is None:
        raise LabError(t("there is no {name} in {namespace}", name=NAME, namespace=NAMESPACE), "./inv up")
    return found


def _image(item: Object, *path: str) -> str:
    """The service container's, of a Deployment or ReplicaSet, or of a pod (path "spec")."""
    spec = item["spec"] if path else item["spec"]["template"]["spec"]
    return str(next(one["image"] for one in spec["containers"] if one["name"] == CONTAINER))


def _next(image: str) -> str:
    """The lab's next tag: -v2 after the first one, then one more each time."""
    number = re.search(r"-v(\d+)$", image)
    return f"{OURS}-v{int(number[1]) + 1 if number else 2}"


def _build(world: World, image: str, say: Say) -> None:
    """The lab's own tags are built from the sources as they are now, with the tag's end as their RELEASE; others must be there."""
    match = _TAG.fullmatch(image)
    if match is None:
        if image.startswith("ops-demo:") and image != OURS:
            say(t("{image} is not built here: only {ours}-NAME is", image=image, ours=OURS))
        return
    note = world.provider.load_images([Image(image, dockerfile(match[1], world.settings.state / "releases"))])
    say(t("built {image} from serving/", image=image) + (f" ({note})" if note else ""))


def dockerfile(release: str, folder: Path) -> Path:
    """The service's image folder copied into `folder`/RELEASE, its Dockerfile with another RELEASE."""
    original = next(one.dockerfile for one in IMAGES if one.tag == OURS)
    text, number = re.subn(r"^ARG RELEASE=.*$", f"ARG RELEASE={release}", original.read_text(), flags=re.MULTILINE)
    if number != 1:
        raise LabError(
            t("{original} has no line ARG RELEASE=", original=original), "git checkout images/serving/Dockerfile"
        )
    copy = folder / release / original.parent.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original.parent, copy)
    made = copy / original.name
    made.write_text(text)
    return made


def _patch(world: World, body: object, content_type: str) -> None:
    path = world.cluster.kind("apps/v1", "Deployment").path(NAMESPACE, NAME)
    world.cluster.request("PATCH", path, body, query={"fieldManager": "mlops-lab"}, content_type=content_type)
