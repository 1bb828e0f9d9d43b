"""Part 1 of the course's checks: is the Kubeflow tenant whole? (10)"""

from __future__ import annotations

from lab.checks.base import Check, Subject, names, require
from lab.checks.probes import get, labelled, listed, refused, running
from lab.errors import LabError
from lab.kube import Object, ready
from lab.messages import t

RBAC = "rbac.authorization.k8s.io/v1"


def namespace(subject: Subject) -> str:
    found = get(subject, "v1", "Namespace", subject.namespace)
    phase = found["status"]["phase"]
    require(
        phase == "Active",
        t("namespace {namespace} is {phase}", namespace=subject.namespace, phase=phase),
        f"./inv up --tenants {subject.tenant.num}",
    )
    return t("{namespace} is Active", namespace=subject.namespace)


def profile(subject: Subject) -> str:
    tenant = subject.tenant
    found = get(subject, "kubeflow.org/v1", "Profile", tenant.profile)
    owner = found["spec"]["owner"]["name"]
    cure = (
        f'kubectl patch profile {tenant.profile} --type=merge -p \'{{"spec":{{"owner":{{"name":"{tenant.email}"}}}}}}\''
    )
    require(
        owner == tenant.email,
        t(
            "owner of {profile}: expected {email}, found {owner}",
            profile=tenant.profile,
            email=tenant.email,
            owner=owner,
        ),
        cure,
    )
    missing = ready.missing({"kind": "Profile"} | found)
    require(missing is None, str(missing), f"kubectl describe profile {tenant.profile}")
    return t("{profile}, owner {owner}, Ready", profile=tenant.profile, owner=owner)


def service_accounts(subject: Subject) -> str:
    wanted = {"default-editor", "default-viewer"}
    missing = wanted - names(listed(subject, "v1", "ServiceAccount", subject.namespace))
    require(
        not missing,
        t(
            "service accounts missing in {namespace}: {missing}",
            namespace=subject.namespace,
            missing=", ".join(sorted(missing)),
        ),
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
        require(
            seen == wanted,
            t(
                "quota of {resource} in {namespace}: expected {wanted}, found {seen}",
                resource=resource,
                namespace=subject.namespace,
                wanted=wanted,
                seen=seen,
            ),
            cure,
        )
    return ", ".join(
        t("{resource} {used} of {hard}", resource=resource, used=used.get(resource, "?"), hard=hard[resource])
        for resource in ("cpu", "memory")
    )


def role_bindings(subject: Subject) -> str:
    bindings = {item["metadata"]["name"]: item for item in listed(subject, RBAC, "RoleBinding", subject.namespace)}
    wanted = {"namespaceAdmin": "kubeflow-admin", "default-editor": "kubeflow-edit", "default-viewer": "kubeflow-view"}
    for name, role in wanted.items():
        require(
            name in bindings,
            t("RoleBinding {name} missing in {namespace}", name=name, namespace=subject.namespace),
            _operator(subject),
        )
        seen = bindings[name]["roleRef"]["name"]
        require(
            seen == role,
            t(
                "RoleBinding {name} in {namespace}: expected role {role}, found {seen}",
                name=name,
                namespace=subject.namespace,
                role=role,
                seen=seen,
            ),
            _operator(subject),
        )
    owners = [entry["name"] for entry in bindings["namespaceAdmin"].get("subjects") or []]
    require(
        owners == [subject.tenant.email],
        t(
            "namespaceAdmin is bound to {owners}, not {email}",
            owners=", ".join(owners) or t("nobody"),
            email=subject.tenant.email,
        ),
        _operator(subject),
    )
    return ", ".join(wanted)


def pod_defaults(subject: Subject) -> str:
    wanted = {"access-mlflow", "access-ml-pipeline"}
    missing = wanted - names(listed(subject, "kubeflow.org/v1alpha1", "PodDefault", subject.namespace))
    cure = t("the instructor recreates it: ./inv up --tenants {number}", number=subject.tenant.num)
    require(
        not missing,
        t(
            "PodDefault missing in {namespace}: {missing}",
            namespace=subject.namespace,
            missing=", ".join(sorted(missing)),
        ),
        cure,
    )
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
        t("pods in {namespace} do not run: {why}", namespace=subject.namespace, why=next(iter(waiting), "")),
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
        t("PVC not bound in {namespace}: {unbound}", namespace=subject.namespace, unbound=", ".join(unbound)),
        f"kubectl describe pvc -n {subject.namespace}",
    )
    services = listed(subject, "v1", "Service", subject.namespace)
    return t(
        "{running} of {pods} pods ready, {services} services, {claims} PVCs bound",
        running=len(running(pods)),
        pods=len(pods),
        services=len(services),
        claims=len(claims),
    )


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
        t("list pods"): refused(subject, "GET", pods.path(other)),
        t("get a pod"): refused(subject, "GET", pods.path(other, "mlflow-server")),
        t("list secrets"): refused(subject, "GET", subject.cluster.kind("v1", "Secret").path(other)),
        t("create a pod"): refused(subject, "POST", pods.path(other), probe, dry),
        t("exec in a pod"): refused(
            subject, "POST", pods.path(other, "mlflow-server", "exec"), query={"command": "true"}
        ),
        t("delete pods"): refused(subject, "DELETE", pods.path(other), None, dry),
    }
    allowed = [what for what, denied in attempts.items() if not denied]
    cure = t(
        "the instructor looks for the RoleBinding: kubectl get rolebindings,clusterrolebindings -A -o wide | grep {email}",
        email=subject.tenant.email,
    )
    require(
        not allowed,
        t("{user} may {allowed} in {other}", user=subject.tenant.user, allowed=", ".join(allowed), other=other),
        cure,
    )
    return t("{attempts} of {attempts} attempts on {other} refused", attempts=len(attempts), other=other)


def components(subject: Subject) -> str:
    wanted = ("centraldashboard", "notebook-controller-deployment")
    found = {item["metadata"]["name"]: item for item in listed(subject, "apps/v1", "Deployment", "kubeflow")}
    cure = "./inv up; kubectl get pods -n kubeflow"
    for name in wanted:
        require(name in found, t("Deployment {name} missing in namespace kubeflow", name=name), cure)
        require(
            found[name].get("status", {}).get("readyReplicas", 0) > 0,
            t("Deployment {name} in namespace kubeflow has no ready replica", name=name),
            cure,
        )
    service = get(subject, "v1", "Service", "ml-pipeline-ui", namespace="kubeflow", hint=cure)
    require(
        bool(running(labelled(subject, "v1", "Pod", "kubeflow", **service["spec"].get("selector", {})))),
        t("Service ml-pipeline-ui in namespace kubeflow has no ready pod"),
        cure,
    )
    return f"{', '.join(wanted)}, ml-pipeline-ui"


def verdict(subject: Subject) -> str:
    """Everything before passed (it is required), and the tenant may do what the labs do."""
    wanted = (("", "pods"), ("batch", "jobs"), ("apps", "deployments"), ("", "services"), ("", "configmaps"))
    granted = _granted(subject)
    denied = [
        resource
        for group, resource in wanted
        if not any(_covers(rule, group, resource) for rule in granted) and not _may_create(subject, group, resource)
    ]
    require(
        not denied,
        t(
            "{user} may not create {kinds} in {namespace}",
            user=subject.tenant.user,
            kinds=", ".join(denied),
            namespace=subject.namespace,
        ),
        _operator(subject),
    )
    return t("the labs can be done: may create {kinds}", kinds=", ".join(resource for _, resource in wanted))


def _granted(subject: Subject) -> list[Object]:
    """What the cluster says this tenant may do in its namespace. Not everything where webhooks authorize (EKS): what is not listed is asked for."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": subject.namespace},
    }
    try:
        found: list[Object] = subject.cluster.create(review)["status"]["resourceRules"]
    except LabError:
        return []
    return found


def _covers(rule: Object, group: str, resource: str) -> bool:
    """Whether the rule lets its holder create every object of the resource."""
    wanted = (("verbs", "create"), ("apiGroups", group), ("resources", resource))
    return not rule.get("resourceNames") and all({name, "*"} & set(rule.get(field) or []) for field, name in wanted)


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
    return t(
        "the Profile controller makes it: kubectl describe profile {profile}; ./inv up --tenants {number}",
        profile=subject.tenant.profile,
        number=subject.tenant.num,
    )


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
