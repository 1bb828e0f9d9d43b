"""What several checks ask in the same way: does an object exist, is a call refused, how is a tenant's MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.checks.base import Failed, Subject
from lab.errors import LabError
from lab.kube import Object, Refused
from lab.messages import mark, t

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError


def get(subject: Subject, api_version: str, kind: str, name: str, *, namespace: str = "", hint: str = "") -> Object:
    """The object, or Failed with Kubernetes's own words. Where a check has listed its neighbours already, it is taken from that list."""
    if subject.answers.known(("list", api_version, kind, namespace)):
        among = [item for item in listed(subject, api_version, kind, namespace) if item["metadata"]["name"] == name]
        if among:
            return among[0]
    try:
        return subject.answers.once(
            ("get", api_version, kind, namespace, name), lambda: subject.cluster.get(api_version, kind, name, namespace)
        )
    except Refused as error:
        raise Failed(error.message, hint or _cure(subject, error)) from None


def listed(subject: Subject, api_version: str, kind: str, namespace: str) -> list[Object]:
    """Every object of the kind in the namespace."""
    return _ask_list(subject, ("list", api_version, kind, namespace), "")


def labelled(subject: Subject, api_version: str, kind: str, namespace: str, **labels: str) -> list[Object]:
    """Those that have these labels."""
    if subject.answers.known(("list", api_version, kind, namespace)):
        return [
            item
            for item in listed(subject, api_version, kind, namespace)
            if labels.items() <= item["metadata"].get("labels", {}).items()
        ]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return _ask_list(subject, ("list", api_version, kind, namespace, selector), selector)


def _ask_list(subject: Subject, question: tuple[str, ...], selector: str) -> list[Object]:
    _, api_version, kind, namespace = question[:4]
    try:
        return subject.answers.once(
            question, lambda: subject.cluster.list(api_version, kind, namespace, labels=selector)
        )
    except Refused as error:
        raise Failed(error.message, _cure(subject, error)) from None


def _cure(subject: Subject, error: Refused) -> str:
    if error.unknown:
        settings = subject.settings
        return f"aws eks update-kubeconfig --region {settings.region} --name {settings.eks_cluster}"
    return f"./inv up --tenants {subject.tenant.num}"


def refused(
    subject: Subject, method: str, path: str, body: Object | None = None, query: dict[str, str] | None = None
) -> bool:
    """Whether the cluster forbids the tenant this request (403); a 404 would mean that it may look, a 401 proves nothing."""
    try:
        subject.cluster.request(method, path, body, query=query)
    except Refused as error:
        if error.unknown:
            raise Failed(error.message, _cure(subject, error)) from None
        return error.code == 403
    return False


def aws(call: Callable[..., Any], hint: str, *, denied: str = "", **arguments: Any) -> Any:
    """An AWS call's answer, or Failed with AWS's code and message; `denied` is the cure where IAM refuses, if that is another than `hint`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call(**arguments)
    except ClientError as error:
        raise _failed(error, (denied if _is_denied(error) else "") or hint) from None
    except BotoCoreError as error:
        raise _silent(error) from None


def _failed(error: ClientError, hint: str) -> Failed:
    found = error.response["Error"]
    code, message = str(found.get("Code")), str(found.get("Message"))
    return Failed(f"{error.operation_name}: {code}: {message}", _aws_cure(code, message) or hint)


def _silent(error: BotoCoreError) -> Failed:
    return Failed(t("AWS does not answer: {error}", error=type(error).__name__), "./inv status; ./inv up")


def _is_denied(error: ClientError) -> bool:
    """HEAD has no body: there the code is the status."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def bucket_region(subject: Subject, name: str, hint: str) -> str:
    """Where the bucket is; Failed where the tenant cannot see it. Where IAM denies that, making one is no cure."""
    policy = t("the IAM policy is the instructor's to attach: ./inv up --tenants {num}", num=subject.tenant.num)
    head = subject.aws("s3").head_bucket
    found = subject.answers.once(("bucket", name), lambda: aws(head, hint, denied=f"{_KEYS}; {policy}", Bucket=name))
    return str(found["BucketRegion"])


def described(subject: Subject, names: Sequence[str]) -> list[Any]:
    """These ECR repositories. All of the tenant's are asked for together; one by one where that fails, to name the missing one and its cure."""
    describe, everything = subject.aws("ecr").describe_repositories, subject.tenant.repositories
    create = "aws ecr create-repository --repository-name {} --region " + subject.settings.region

    def together() -> dict[str, Any]:
        found = aws(describe, "", repositoryNames=list(everything))["repositories"]
        return {item["repositoryName"]: item for item in found}

    def alone(name: str) -> Any:
        return aws(describe, create.format(name), repositoryNames=[name])["repositories"][0]

    try:
        found = subject.answers.once(("repositories",), together)
    except Failed:
        found = {name: subject.answers.once(("repository", name), partial(alone, name)) for name in names}
    return [found[name] for name in names]


CLOCK = mark("this machine's clock is wrong: date -u; sudo timedatectl set-ntp true")
_KEYS = "aws configure; aws sts get-caller-identity"
_UNKNOWN_KEYS = {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"}


def _aws_cure(code: str, message: str) -> str:
    """The cure where it is the clock or the keys, whatever was asked; '' where it is what the check looks for."""
    if code == "RequestTimeTooSkewed" or "Signature expired" in message or "Signature not yet current" in message:
        return t(CLOCK)
    return _KEYS if code in _UNKNOWN_KEYS else ""


def aws_refused(call: Callable[..., Any], **arguments: Any) -> bool:
    """Whether IAM denies the call (403). What is gone cannot be read either; unknown keys and a wrong clock prove nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call(**arguments)
    except ClientError as error:
        failed = _failed(error, "")
        if failed.hint:
            raise failed from None
        code = str(error.response["Error"].get("Code"))
        return _is_denied(error) or "AccessDenied" in code or code == "NoSuchBucket"
    except BotoCoreError as error:
        raise _silent(error) from None
    return False


def proxied(subject: Subject, service: str, path: str, query: dict[str, str] | None = None) -> Any:
    """What a Service of the tenant answers to a GET through the API server, as every cluster offers it."""
    root = subject.cluster.kind("v1", "Service").path(subject.namespace, service, "proxy")
    return subject.cluster.request("GET", f"{root}/{path.lstrip('/')}", query=query)


def mlflow_health(subject: Subject) -> float:
    """Seconds that the tenant's MLflow server took to answer /health."""
    started = time.monotonic()
    try:
        proxied(subject, "mlflow-server:5000", "health")
    except LabError as error:
        hint = f"kubectl get pods -n {subject.namespace} -l app=mlflow-server; kubectl logs -n {subject.namespace} deployment/mlflow-server"
        raise Failed(
            t("MLflow server in {namespace} does not answer: {why}", namespace=subject.namespace, why=error.message),
            hint,
        ) from None
    return time.monotonic() - started


def running(pods: Sequence[Object]) -> list[Object]:
    """Pods whose every container is ready, and that are not on their way out: those are Ready until they have ended."""
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions") or [])
    ]
