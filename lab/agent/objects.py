"""The objects in which the agent and the dashboard meet. Pure functions from the lab's values to manifests, and back.

ConfigMap check-report-userNN   what the 23 checks said of a tenant, the bucket's size, the commands to copy      agent -> dashboard
ConfigMap lab-catalogue         the checks, the faults and who is in the class                                   agent -> dashboard
ConfigMap lab-active            what is broken now                                                               agent -> dashboard
Lease     lab-agent             the agent is alive while renewTime is young                                      agent -> dashboard
ConfigMap lab-request-*         what somebody pressed; `state`, `message` and `log` are the agent's answer       dashboard -> agent
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from lab.checks.base import Check, Result
from lab.faults.base import Fault
from lab.faults.words import WORDS
from lab.kube import Object
from lab.messages import both
from lab.messages import catalogue as catalogue_file
from lab.settings import Settings, Tenant
from lab.world import World

NAMESPACE = "kubeflow"
KIND = "mlops-lab/kind"
LEASE_SECONDS = 15
REPORT_PREFIX = "check-report-"


@dataclass(frozen=True)
class Bucket:
    """What lies in a tenant's bucket."""

    objects: int
    size: int
    """Bytes, current versions only."""


@dataclass(frozen=True)
class Request:
    """One press of a button. `user` is two digits, or '' for everybody."""

    name: str
    verb: str
    fault: str
    user: str
    state: str

    @classmethod
    def of(cls, found: Object) -> Request:
        data = {key: str(value) for key, value in (found.get("data") or {}).items()}
        return cls(
            name=str(found["metadata"]["name"]),
            verb=data.get("verb", ""),
            fault=data.get("fault", ""),
            user=data.get("user", ""),
            state=data.get("state", ""),
        )


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def config_map(name: str, kind: str, data: dict[str, str], **labels: str) -> Object:
    meta = {"name": name, "namespace": NAMESPACE, "labels": {KIND: kind, **labels}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def report(
    settings: Settings, tenant: Tenant, results: Sequence[Result], *, seconds: float, bucket: Bucket | None
) -> Object:
    """`bucket` is None where AWS did not say."""
    told = {
        "user": tenant.user,
        "num": tenant.num,
        "role": tenant.role,
        "namespace": tenant.namespace,
        "profile": tenant.profile,
        "at": now(),
        "seconds": round(seconds, 3),
        "bucket": {"name": tenant.bucket} | ({"objects": bucket.objects, "bytes": bucket.size} if bucket else {}),
        "checks": [_result(one) for one in results],
        "commands": commands(settings, tenant),
    }
    labels = {"mlops-lab/user": tenant.num}
    return config_map(REPORT_PREFIX + tenant.user, "report", {"report": _json(told)}, **labels)


def _result(result: Result) -> dict[str, str]:
    found = {"code": result.code, "state": result.state, "cause": result.cause}
    return {key: text for key, text in found.items() if text} | in_both(message=result.message, hint=result.hint)


def in_both(**texts: str) -> dict[str, str]:
    """Each text in English, and as NAME_ko in Korean where that is another: the page is in its reader's language."""
    said = {key: both.english(text) for key, text in texts.items() if text}
    translated = {key: both.korean(text) for key, text in texts.items()}
    return said | {f"{key}_ko": translated[key] for key in said if translated[key] != said[key]}


def commands(settings: Settings, tenant: Tenant) -> list[dict[str, str]]:
    """What this student types, in the order of the guides."""
    eks = f"aws eks update-kubeconfig --region {settings.region} --name {settings.eks_cluster}"
    listed = (
        ("a shell as this student", "이 학생의 셸", f'eval "$(./inv env --user {tenant.num})"'),
        ("who am I", "내 계정 확인", "aws sts get-caller-identity"),
        ("sign in to the cluster", "클러스터 로그인", eks),
        ("my pods", "내 파드", f"kubectl get pods -n {tenant.namespace}"),
        ("my quota", "내 쿼터", f"kubectl describe resourcequota -n {tenant.namespace}"),
        ("my bucket", "내 버킷", f"aws s3 ls s3://{tenant.bucket}/"),
        (
            "open MLflow on port 5000",
            "MLflow 열기 (5000 포트)",
            f"kubectl port-forward svc/mlflow-server -n {tenant.namespace} 5000:5000",
        ),
        ("train a model", "모델 학습", f"./inv train --tenant {tenant.num} --n-estimators 200"),
        ("run the checks", "검증 실행", f"./inv verify --user {tenant.num}"),
    )
    return [{"what": what, "what_ko": korean, "command": command} for what, korean, command in listed]


def catalogue(checks: Sequence[Check], faults: Sequence[Fault], people: Sequence[Tenant]) -> Object:
    data = {
        "checks": _json([{"code": c.code, "part": c.part, "title": c.title, "title_ko": c.title_ko} for c in checks]),
        "faults": _json([_fault(fault) for fault in faults]),
        "tenants": _json([{"num": one.num, "user": one.user, "role": one.role} for one in people]),
    }
    return config_map("lab-catalogue", "catalogue", data)


def _fault(fault: Fault) -> dict[str, str]:
    korean = _korean().get(fault.title, "")
    return {"name": fault.name, "title": fault.title, "title_ko": korean, "scope": fault.scope}


@cache
def _korean() -> dict[str, str]:
    """The page is in its reader's language, whatever this process speaks."""
    return catalogue_file.read(catalogue_file.KOREAN)


def active(world: World, found: Sequence[tuple[Fault, Tenant]]) -> Object:
    """With what an instructor says to this student, in the student's own names."""
    told = [
        {
            "fault": fault.name,
            "num": tenant.num,
            "say": fault.words(WORDS[fault.name].english, world, tenant),
            "say_ko": fault.words(WORDS[fault.name].korean, world, tenant),
        }
        for fault, tenant in found
    ]
    return config_map("lab-active", "active", {"faults": _json(told)})


def lease(holder: str, since: str) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "lab-agent", "namespace": NAMESPACE},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": since,
            "renewTime": now(),
        },
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
