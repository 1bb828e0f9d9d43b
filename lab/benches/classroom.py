"""What the pages show, made in a cluster: tenants, a serving pod, and the agent's reports as lab.agent itself writes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from lab import checks, faults
from lab import settings as lab_settings
from lab.agent import objects
from lab.agent.objects import Bucket
from lab.checks.base import Result
from lab.kube import Cluster, Kind, Object
from lab.settings import Settings, Tenant

CLASS = ("01", "02", "03", "04", "05", "06", "07", "20")
TRAINING, SERVING = "mlops-training", "mlops-serving"
RBAC = "rbac.authorization.k8s.io/v1"
ALIVE_UNTIL_THE_END = "2099-01-01T00:00:00.000000Z"
_PODS = Kind("v1", "pods", True)
_PROFILES = Kind("kubeflow.org/v1", "profiles", False)


def green(tenant: Tenant) -> list[Result]:
    return [
        Result(
            tenant=tenant.user,
            code=check.code,
            part=check.part,
            title=check.title,
            title_ko=check.title_ko,
            state="pass",
            message=f"{check.title}: as it should be",
        )
        for check in checks.REGISTRY
    ]


def red(results: list[Result], code: str, message: str, hint: str) -> list[Result]:
    """The same with one check failed, and those behind it skipped."""
    behind = {check.code for check in checks.REGISTRY if code in check.requires}
    changed = []
    for one in results:
        if one.code == code:
            changed.append(replace(one, state="fail", message=message, hint=hint))
        elif one.code in behind:
            changed.append(replace(one, state="skip", message=f"waits for {code}", cause=code))
        else:
            changed.append(one)
    return changed


@dataclass
class World:
    api: Cluster
    folder: Path
    port: int = 0
    settings: Settings = field(default_factory=lab_settings.load)

    @property
    def url(self) -> str:
        return f"http://dashboard.localhost:{self.port}"

    def tenant(self, num: str) -> Tenant:
        return next(one for one in self.people((num,)))

    def people(self, numbers: tuple[str, ...]) -> list[Tenant]:
        """Known ones as lab.yaml has them; more of the same kind for a larger class."""
        known = {one.num: one for one in self.settings.people}
        student = self.settings.people[0]
        return [known.get(num) or student.model_copy(update=names(num)) for num in numbers]

    def account(self, name: str) -> Path:
        """A kubeconfig of a service account of namespace kubeflow."""
        body = {"spec": {"expirationSeconds": 7200}}
        made = self.api.request("POST", f"/api/v1/namespaces/kubeflow/serviceaccounts/{name}/token", body)
        config = yaml.safe_load(self.api.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": made["status"]["token"]}
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def populate(self, numbers: tuple[str, ...], serving_port: int) -> None:
        people = self.people(numbers)
        self.api.apply(objects.catalogue(checks.REGISTRY, faults.REGISTRY, people))
        self.api.apply(objects.config_map("lab-active", "active", {"faults": "[]"}))
        beat = objects.lease("tests", objects.now())
        beat["spec"]["renewTime"] = ALIVE_UNTIL_THE_END
        self.api.apply(beat)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.enrol, people))
        for num in ("01", "07"):
            self._make_namespace_of(self.tenant(num))
        self._serve(serving_port)
        self._job("iris-rf-200", {"succeeded": 1, "startTime": "2026-11-22T06:00:00Z"})

    def enrol(self, tenant: Tenant) -> None:
        """A Profile that is ready, and a report that is green."""
        labels = {"mlops-lab/user": tenant.num, "mlops-lab/role": tenant.role}
        body = {
            "apiVersion": "kubeflow.org/v1",
            "kind": "Profile",
            "metadata": {"name": tenant.profile, "labels": labels},
            "spec": {"owner": {"kind": "User", "name": tenant.email}},
        }
        self.api.apply(body)
        ready = {"type": "Ready", "status": "True", "reason": "NamespaceReady", "message": ""}
        status = {"status": {"namespace": tenant.namespace, "conditions": [ready]}}
        path = _PROFILES.path(name=tenant.profile, subresource="status")
        self.api.request("PATCH", path, status, content_type="application/merge-patch+json")
        self.report(tenant, green(tenant))

    def leave(self, tenant: Tenant) -> None:
        """What `enrol` made goes again: other tests share this class."""
        self.api.delete("kubeflow.org/v1", "Profile", tenant.profile)
        self.api.delete("v1", "ConfigMap", f"check-report-{tenant.user}", "kubeflow")

    def report(self, tenant: Tenant, results: list[Result]) -> None:
        bucket = Bucket(objects=2 + int(tenant.num), size=48_000 * int(tenant.num))
        self.api.apply(objects.report(self.settings, tenant, results, seconds=0.4, bucket=bucket))

    def _make_namespace_of(self, tenant: Tenant) -> None:
        where = tenant.namespace
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}})
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default-editor", "namespace": where},
        }
        self.api.apply(account)
        binding = {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": {"name": "default-editor", "namespace": where},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubeflow-edit"},
            "subjects": [{"kind": "ServiceAccount", "name": "default-editor", "namespace": where}],
        }
        self.api.apply(binding)
        quota = {"cpu": tenant.cpu, "memory": tenant.memory}
        self.api.apply(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "kf-resource-quota", "namespace": where},
                "spec": {"hard": quota},
            }
        )

    def _serve(self, port: int) -> None:
        """A Deployment of nobody's and a pod that no scheduler takes: only its address and its state matter here."""
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVING}})
        container = {
            "name": "serving",
            "image": "ops-demo:serving",
            "ports": [{"containerPort": port}],
            "resources": {"requests": {"cpu": "200m"}},
        }
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "iris-serving-1", "namespace": SERVING, "labels": {"app": "iris-serving"}},
            "spec": {"schedulerName": "nobody", "containers": [container]},
        }
        self.api.create(pod)
        status = {
            "status": {
                "phase": "Running",
                "podIP": "127.0.0.1",
                "podIPs": [{"ip": "127.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True"}],
            }
        }
        path = _PODS.path(SERVING, "iris-serving-1", "status")
        self.api.request("PATCH", path, status, content_type="application/merge-patch+json")

    def _job(self, name: str, status: Object) -> None:
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TRAINING}})
        container = {"name": "training", "image": "ops-demo:training", "args": ["--run-name", name]}
        template = {"spec": {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [container]}}
        self.api.create(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": TRAINING, "labels": {"app": "iris-training"}},
                "spec": {"suspend": True, "template": template},
            }
        )


def names(num: str) -> dict[str, str]:
    """A further tenant's names; numbers beyond two digits exist in a large class's test only."""
    return {
        "num": num,
        "profile": f"profile-user{num}",
        "namespace": f"kubeflow-user{num}",
        "bucket": f"mlops-training-user{num}",
        "email": f"user{num}@mlops.local",
    }
