"""Part 1 of the course's checks: is the Kubeflow tenant whole? (10)"""

from __future__ import annotations

from lab import ready
from lab.checks.base import Check, Subject, names, require
from lab.checks.probes import get, listed, refused, running
from lab.errors import LabError

RBAC = "rbac.authorization.k8s.io/v1"


def namespace(subject: Subject) -> str:
    found = get(subject, "v1", "Namespace", subject.namespace)
    phase = found["status"]["phase"]
    require(phase == "Active", f"namespace {subject.namespace} is {phase}", f"./inv up --tenants {subject.tenant.num}")
    return f"{subject.namespace} is Active"


def profile(subject: Subject) -> str:
    tenant = subject.tenant
    found = get(subject, "kubeflow.org/v1", "Profile", tenant.profile)
    owner = found["spec"]["owner"]["name"]
    cure = (
        f'kubectl patch profile {tenant.profile} --type=merge -p \'{{"spec":{{"owner":{{"name":"{tenant.email}"}}}}}}\''
    )
    require(owner == tenant.email, f"owner of {tenant.profile}: expected {tenant.email}, found {owner}", cure)
    missing = ready.missing({"kind": "Profile"} | found)
    require(missing is None, str(missing), f"kubectl describe profile {tenant.profile}")
    return f"{tenant.profile}, owner {owner}, Ready"


def service_accounts(subject: Subject) -> str:
    wanted = {"default-editor", "default-viewer"}
    missing = wanted - names(listed(subject, "v1", "ServiceAccount", subject.namespace))
    require(
        not missing,
        f"service accounts missing in {subject.namespace}: {', '.join(sorted(missing))}",
        _operator(subject),
    )
    return ", ".join(sorted(wanted))


def quota(subject: Subject) -> str:
    tenant = subject.tenant
    found = get(
        subject, "v1", "ResourceQuota", "kf-resource-quota", namespace=subject.namespace, hint=_operator(subject)
    )
    hard, used = found["spec"].get("hard", {}), found.get("status", {}).get("used", {})
    for resource, wanted in (("cpu", tenant.cpu), ("memory", tenant.memory)):
        seen = hard.get(resource)
        cure = f"kubectl get profile {tenant.profile} -o jsonpath='{{.spec.resourceQuotaSpec}}'"
        require(seen == wanted, f"quota of {resource} in {subject.namespace}: expected {wanted}, found {seen}", cure)
    return ", ".join(f"{resource} {used.get(resource, '?')} of {hard[resource]}" for resource in ("cpu", "memory"))


def role_bindings(subject: Subject) -> str:
    bindings = {item["metadata"]["name"]: item for item in listed(subject, RBAC, "RoleBinding", subject.namespace)}
    wanted = {"namespaceAdmin": "kubeflow-admin", "default-editor": "kubeflow-edit", "default-viewer": "kubeflow-view"}
    for name, role in wanted.items():
        require(name in bindings, f"RoleBinding {name} missing in {subject.namespace}", _operator(subject))
        seen = bindings[name]["roleRef"]["name"]
        require(
            seen == role,
            f"RoleBinding {name} in {subject.namespace}: expected role {role}, found {seen}",
            _operator(subject),
        )
    owners = [entry["name"] for entry in bindings["namespaceAdmin"].get("subjects") or []]
    require(
        owners == [subject.tenant.email],
        f"namespaceAdmin is bound to {', '.join(owners) or 'nobody'}, not {subject.tenant.email}",
        _operator(subject),
    )
    return ", ".join(wanted)


def pod_defaults(subject: Subject) -> str:
    wanted = {"access-mlflow", "access-ml-pipeline"}
    missing = wanted - names(listed(subject, "kubeflow.org/v1alpha1", "PodDefault", subject.namespace))
    cure = f"the instructor recreates it: ./inv up --tenants {subject.tenant.num}"
    require(not missing, f"PodDefault missing in {subject.namespace}: {', '.join(sorted(missing))}", cure)
    return ", ".join(sorted(wanted))


def workloads(subject: Subject) -> str:
    pods = [
        pod
        for pod in listed(subject, "v1", "Pod", subject.namespace)
        if pod["status"]["phase"] not in ("Succeeded", "Failed")
    ]
    waiting = ready.explain(pods, [])
    require(
        not waiting,
        f"pods in {subject.namespace} do not run: {waiting[:1]}",
        f"kubectl describe pods -n {subject.namespace}",
    )
    for deployment in listed(subject, "apps/v1", "Deployment", subject.namespace):
        failure = ready.condition(deployment, "ReplicaFailure")
        require(
            failure.get("status") != "True",
            f"{ready.title(deployment)}: {failure.get('message')}",
            f"kubectl describe quota -n {subject.namespace}",
        )
    claims = listed(subject, "v1", "PersistentVolumeClaim", subject.namespace)
    unbound = [item["metadata"]["name"] for item in claims if item["status"]["phase"] != "Bound"]
    require(
        not unbound,
        f"PVC not bound in {subject.namespace}: {', '.join(unbound)}",
        f"kubectl describe pvc -n {subject.namespace}",
    )
    services = listed(subject, "v1", "Service", subject.namespace)
    return f"{len(running(pods))} of {len(pods)} pods ready, {len(services)} services, {len(claims)} PVCs bound"


def isolation(subject: Subject) -> str:
    other = subject.other.namespace
    pods = subject.cluster.kind("v1", "Pod")
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "c", "image": "probe"}]},
    }
    dry = {"dryRun": "All"}
    attempts = {
        "list pods": refused(subject, "GET", pods.path(other)),
        "get a pod": refused(subject, "GET", pods.path(other, "mlflow-server")),
        "list secrets": refused(subject, "GET", subject.cluster.kind("v1", "Secret").path(other)),
        "create a pod": refused(subject, "POST", pods.path(other), probe, dry),
        "exec in a pod": refused(subject, "POST", pods.path(other, "mlflow-server", "exec"), query={"command": "true"}),
        "delete pods": refused(subject, "DELETE", pods.path(other), None, dry),
    }
    allowed = [what for what, denied in attempts.items() if not denied]
    cure = f"the instructor looks for the RoleBinding: kubectl get rolebindings,clusterrolebindings -A -o wide | grep {subject.tenant.email}"
    require(not allowed, f"{subject.tenant.user} may {', '.join(allowed)} in {other}", cure)
    return f"{len(attempts)} of {len(attempts)} attempts on {other} refused"


def components(subject: Subject) -> str:
    wanted = ("centraldashboard", "notebook-controller-deployment")
    found = {item["metadata"]["name"]: item for item in listed(subject, "apps/v1", "Deployment", "kubeflow")}
    cure = "./inv up; kubectl get pods -n kubeflow"
    for name in wanted:
        require(name in found, f"Deployment {name} missing in namespace kubeflow", cure)
        require(
            found[name].get("status", {}).get("readyReplicas", 0) > 0,
            f"Deployment {name} in namespace kubeflow has no ready replica",
            cure,
        )
    service = get(subject, "v1", "Service", "ml-pipeline-ui", namespace="kubeflow", hint=cure)
    labels = ",".join(f"{key}={value}" for key, value in service["spec"].get("selector", {}).items())
    require(
        bool(running(listed(subject, "v1", "Pod", "kubeflow", labels=labels))),
        "Service ml-pipeline-ui in namespace kubeflow has no ready pod",
        cure,
    )
    return f"{', '.join(wanted)}, ml-pipeline-ui"


def verdict(subject: Subject) -> str:
    """Everything before passed (it is required), and the tenant may do what the labs do."""
    wanted = (("", "pods"), ("batch", "jobs"), ("apps", "deployments"), ("", "services"), ("", "configmaps"))
    denied = [resource for group, resource in wanted if not _may_create(subject, group, resource)]
    require(
        not denied,
        f"{subject.tenant.user} may not create {', '.join(denied)} in {subject.namespace}",
        _operator(subject),
    )
    return f"the labs can be done: may create {', '.join(resource for _, resource in wanted)}"


def _may_create(subject: Subject, group: str, resource: str) -> bool:
    attributes = {"namespace": subject.namespace, "verb": "create", "group": group, "resource": resource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        return bool(subject.cluster.create(review)["status"]["allowed"])
    except LabError:
        return False


def _operator(subject: Subject) -> str:
    return f"the Profile controller makes it: kubectl describe profile {subject.tenant.profile}; ./inv up --tenants {subject.tenant.num}"


CHECKS = (
    Check("KF01", "kubeflow", "Namespace", "네임스페이스", namespace),
    Check("KF02", "kubeflow", "Profile and owner", "Profile 및 소유자", profile, ("KF01",)),
    Check("KF03", "kubeflow", "Service accounts", "서비스 어카운트", service_accounts, ("KF01", "KF02")),
    Check("KF04", "kubeflow", "Resource quota", "리소스 쿼터", quota, ("KF01", "KF02")),
    Check("KF05", "kubeflow", "Role bindings", "RoleBinding", role_bindings, ("KF01", "KF02")),
    Check("KF06", "kubeflow", "PodDefaults", "PodDefault", pod_defaults, ("KF01", "KF02")),
    Check("KF07", "kubeflow", "Pods, services, PVCs", "파드, 서비스, PVC 상태", workloads, ("KF01", "KF02")),
    Check("KF08", "kubeflow", "Isolation from other tenants", "다른 사용자와의 격리", isolation, ("KF01",)),
    Check("KF09", "kubeflow", "Kubeflow components", "Kubeflow 구성 요소", components, ("KF01",)),
    Check(
        "KF10",
        "kubeflow",
        "Verdict: the labs can be done",
        "종합 판정",
        verdict,
        tuple(f"KF{n:02}" for n in range(1, 10)),
    ),
)
