"""`invoke train`: a Kubernetes Job that trains in the cluster, followed to its end.

The Job is k8s/04-training-job.yaml with a name and arguments of its own: in mlops-training with the shared MLflow server, or in a tenant's
namespace, where the PodDefault access-mlflow gives it the tenant's server and keys. The program's last line is `RESULT {json}`; a
program that gives up prints `training failed: reason`.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.experiments import dead, tables
from lab.experiments.mlflow import Place
from lab.host import shell
from lab.kube import Cluster, Object, Refused, manifests, ready
from lab.messages import t
from lab.said import said
from lab.settings import ROOT, Tenant
from lab.world import World
from training.arguments import parse
from training.errors import BadArguments
from training.results import RESULT

NAMESPACE = "mlops-training"
MANIFEST = manifests.K8S / "04-training-job.yaml"
FAILED = ("training failed: ", "promotion failed: ")
# What the PodDefault gives to a tenant's pods; set here too, its webhook would refuse the pod for the conflict.
GIVEN_BY_PODDEFAULT = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_S3_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
_HOPELESS = {"ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the user asked for. `data` is a CSV file on this machine, "" for iris; `extra` goes to the training program as it is."""

    n_estimators: int = 100
    max_depth: str = "none"
    run_name: str = ""
    experiment: str = "iris"
    model: str = "iris"
    seed: int = 42
    data: str = ""
    extra: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """For the training program. Raises LabError for what it would refuse, before a Job is made."""
        run_name = self.run_name or f"iris-{datetime.now():%m%d-%H%M%S}"
        chosen = ["--n-estimators", str(self.n_estimators), "--max-depth", str(self.max_depth).lower()]
        chosen += ["--run-name", run_name, "--experiment", self.experiment]
        chosen += ["--model-name", self.model] if self.model != "iris" else []
        chosen += ["--seed", str(self.seed)] if self.seed != 42 else []
        return checked([*chosen, *self.extra])


def checked(arguments: Sequence[str]) -> list[str]:
    """The same arguments; raises LabError where the training program would not take them."""
    try:
        parse(arguments)
    except BadArguments as error:
        message = said(str(error)).removeprefix("argument ")
        raise LabError(message, t("for example: ./inv train --n-estimators 200 --max-depth 20")) from None
    return list(arguments)


@dataclass(frozen=True)
class TrainResult:
    """What came of it. `champion`: whether the alias points at this version now, and if not, `champion_reason` says why; `seconds` from
    the Job's creation to here."""

    job: str
    namespace: str
    accuracy: float
    f1: float
    run_id: str
    run_url: str
    s3_uri: str
    model: str
    version: str
    champion: bool
    champion_before: str
    champion_reason: str
    model_digest: str
    data_digest: str
    image_digest: str
    seconds: float


def run(
    world: World, options: Options, *, tenant: str = "", follow: bool = True, say: Say = print
) -> TrainResult | None:
    """Train in mlops-training, or as a tenant in the tenant's namespace. None where it is not waited for."""
    place = Place.of(world, tenant)
    arguments = options.arguments()
    if options.data:
        sent = tables.send(place, Path(options.data))
        say(t("{name} is {uri}", name=sent.name, uri=sent.uri))
        arguments += sent.arguments()
    started = time.monotonic()
    made = create(place.cluster, job(arguments, place.tenant))
    name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
    say(t("Job {name} in {namespace}", name=name, namespace=namespace))
    if not follow:
        return None
    found, image = finished(place, name, say=say)
    if place.tenant:
        say(t("to open the run: kubectl port-forward svc/mlflow-server -n {namespace} 5000:5000", namespace=namespace))
    url = "http://127.0.0.1:5000" if place.tenant else f"http://127.0.0.1:{world.settings.ports.mlflow}"
    return TrainResult(
        job=name,
        namespace=namespace,
        accuracy=float(found["accuracy"]),
        f1=float(found["f1"]),
        run_id=found["run_id"],
        run_url=url + found["run_path"],
        s3_uri=found["model_uri"],
        model=found["model"],
        version=found["version"],
        champion=bool(found["champion"]),
        champion_before=found["champion_before"],
        champion_reason=found["champion_reason"],
        model_digest=found["model_digest"],
        data_digest=found["data_digest"],
        image_digest=image,
        seconds=round(time.monotonic() - started, 1),
    )


def finished(place: Place, name: str, *, say: Say) -> tuple[Mapping[str, Any], str]:
    """A training Job's result and its image's digest, which the run is given too.

    Where the Job has failed, its run in MLflow is not left RUNNING: a pod that was killed could not say so itself.
    """
    try:
        found = wait(place.cluster, name, place.namespace, say=say)
    except LabError as error:
        dead.bury(place, name, reason=error.message)
        raise
    image = image_digest(place.cluster, name, place.namespace)
    if image:
        place.mlflow().log(found["run_id"], tags={"image_digest": image})
    return found, image


def job(arguments: Sequence[str], tenant: Tenant | None, *, command: Sequence[str] = ()) -> Object:
    """The Job to create; the API server completes its name. `command` runs another program of the image."""
    (template,) = manifests.read(MANIFEST)
    made = copy.deepcopy(template)
    made["metadata"]["generateName"] = made["metadata"].pop("name") + "-"
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["args"] = list(arguments)
    if command:
        container["command"] = list(command)
    container["env"].append({"name": "MLFLOW_USER", "value": tenant.user if tenant else "lab"})
    if revision := _revision():
        container["env"].append({"name": "GIT_REVISION", "value": revision})
    if tenant:
        made["metadata"]["namespace"] = tenant.namespace
        container["env"] = [item for item in container["env"] if item["name"] not in GIVEN_BY_PODDEFAULT]
    return made


def _revision() -> str:
    try:
        return shell.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], seconds=5).strip()
    except LabError:
        return ""  # not a checkout, or no git: the run just does not name a revision


def create(cluster: Cluster, manifest: Object) -> Object:
    """Make the Job; refusals say what to type."""
    namespace = manifest["metadata"]["namespace"]
    try:
        return cluster.create(manifest)
    except Refused as error:
        if error.code == 404:
            hint = t("is the lab up? ./inv up")
        elif "quota" in error.message:
            hint = (
                f"kubectl describe resourcequota -n {namespace}; kubectl delete job -l app=iris-training -n {namespace}"
            )
        else:
            hint = "./inv doctor"
        raise LabError(
            t("no training Job in {namespace}: {why}", namespace=namespace, why=error.message), hint
        ) from None


def wait(cluster: Cluster, name: str, namespace: str, *, say: Say, seconds: float = 1800) -> Mapping[str, Any]:
    """Follow the log of each attempt until one has a result or the Job is given up. Raises LabError with the reason."""
    deadline, done, words = time.monotonic() + seconds, set[str](), ""
    while time.monotonic() < deadline:
        pod = _next_pod(cluster, name, namespace, done)
        if pod is None:
            _refuse_failed(cluster, name, namespace, words)
            _refuse_stuck(cluster, name, namespace)
            cluster.pause(0.1, t("the log of Job {name} in {namespace}, to its result", name=name, namespace=namespace))
            continue
        done.add(pod["metadata"]["name"])
        for line in _log(cluster, pod):
            if line.startswith(RESULT):
                result: Mapping[str, Any] = json.loads(line.removeprefix(RESULT))
                return result
            words = _failure(line) or words
            say(f"  {line}")
    raise LabError(
        t(
            "Job {name} in {namespace} did not end within {seconds:.0f} s",
            name=name,
            namespace=namespace,
            seconds=seconds,
        ),
        _look(name, namespace),
    )


def _failure(line: str) -> str:
    return next((line.removeprefix(start) for start in FAILED if line.startswith(start)), "")


def image_digest(cluster: Cluster, name: str, namespace: str) -> str:
    """What the node says it ran for a Job; "" where its pods are gone."""
    pods = cluster.list("v1", "Pod", namespace, labels=f"batch.kubernetes.io/job-name={name}")
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses") or []]
    return next((str(one["imageID"]).rpartition("@")[2] for one in reversed(statuses) if one.get("imageID")), "")


def _next_pod(cluster: Cluster, name: str, namespace: str, done: set[str]) -> Object | None:
    """A pod of the Job whose log can be read and has not been; the oldest first."""
    pods = cluster.list("v1", "Pod", namespace, labels=f"batch.kubernetes.io/job-name={name}")
    begun = [pod for pod in pods if pod["status"].get("phase") in ("Running", "Succeeded", "Failed")]
    new = [pod for pod in begun if pod["metadata"]["name"] not in done]
    return min(new, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def _log(cluster: Cluster, pod: Object) -> Iterator[str]:
    meta = pod["metadata"]
    path = cluster.kind("v1", "Pod").path(meta["namespace"], meta["name"], "log")
    try:
        yield from cluster.lines(path, {"follow": "true", "container": "training"})
    except Refused as error:
        yield t("no log: {why}", why=error.message)


def _refuse_failed(cluster: Cluster, name: str, namespace: str, words: str) -> None:
    found = cluster.find("batch/v1", "Job", name, namespace)
    if found is None:
        raise LabError(
            t("Job {name} in {namespace} was deleted", name=name, namespace=namespace), t("./inv train starts another")
        )
    for kind in ("Failed", "Complete"):
        condition = ready.condition(found, kind)
        if condition.get("status") == "True":
            reason = said(words) or condition.get("message") or t("its log has no result")
            raise LabError(
                t("Job {name} in {namespace} failed: {reason}", name=name, namespace=namespace, reason=reason),
                _look(name, namespace),
            )


def _refuse_stuck(cluster: Cluster, name: str, namespace: str) -> None:
    """Raise where waiting is no use: an image that does not exist, a Secret that is missing, a pod that is not let in."""
    pods = cluster.list("v1", "Pod", namespace, labels=f"batch.kubernetes.io/job-name={name}")
    events = [] if pods and not hopeless(pods) else _events(cluster, name, namespace)
    refused = not pods and any(event.get("reason") == "FailedCreate" for event in events)
    if hopeless(pods) or refused:
        why = "; ".join(ready.explain(pods, events)) or t("see its events")
        raise LabError(
            t("Job {name} in {namespace} does not start: {why}", name=name, namespace=namespace, why=why),
            _look(name, namespace),
        )


def hopeless(pods: Sequence[Object]) -> bool:
    """Whether one of them waits for what will not come: an image that does not exist, a Secret that is missing."""
    states = [
        status.get("state", {}).get("waiting") or {}
        for pod in pods
        for status in pod["status"].get("containerStatuses") or []
    ]
    return any(state.get("reason") in _HOPELESS for state in states)


def _events(cluster: Cluster, name: str, namespace: str) -> list[Object]:
    found = cluster.list("v1", "Event", namespace)
    return [event for event in found if str(event["involvedObject"].get("name", "")).startswith(name)]


def _look(name: str, namespace: str) -> str:
    return f"kubectl describe job {name} -n {namespace}; kubectl logs job/{name} -n {namespace}"
