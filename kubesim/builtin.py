"""The kinds every cluster serves: a table, group by group, in the order discovery lists them.

A line reads: plural, kind, short names, flags. Flags: C cluster-scoped, A in category "all", X in "api-extensions", S has a status
subresource, R has a scale subresource. Checked against a real 1.36's discovery by the conformance tests.
"""

from __future__ import annotations

from kubesim.resources import ALL_VERBS, Resource

STATUS = ("get", "patch", "update")
CONNECT = ("create", "delete", "get", "patch", "update")
CREATE = ("create",)
SUBRESOURCES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "v1/namespaces": (("finalize", ("update",)),),
    "v1/nodes": (("proxy", CONNECT),),
    "v1/pods": (
        ("attach", ("create", "get")),
        ("binding", CREATE),
        ("ephemeralcontainers", STATUS),
        ("eviction", CREATE),
        ("exec", ("create", "get")),
        ("log", ("get",)),
        ("portforward", ("create", "get")),
        ("proxy", CONNECT),
        ("resize", STATUS),
    ),
    "v1/serviceaccounts": (("token", CREATE),),
    "v1/services": (("proxy", CONNECT),),
    "certificates.k8s.io/v1/certificatesigningrequests": (("approval", STATUS),),
}

SUBRESOURCE_KINDS = {
    "attach": "PodAttachOptions",
    "binding": "Binding",
    "eviction": "Eviction",
    "exec": "PodExecOptions",
    "portforward": "PodPortForwardOptions",
    "scale": "Scale",
    "token": "TokenRequest",
}
SUBRESOURCE_VERSIONS = {
    "scale": ("autoscaling", "v1"),
    "eviction": ("policy", "v1"),
    "token": ("authentication.k8s.io", "v1"),
}

TABLE = {
    "v1": """
        bindings                          Binding                           -            V
        componentstatuses                 ComponentStatus                   cs           CG
        configmaps                        ConfigMap                         cm           -
        endpoints                         Endpoints                         ep           -
        events                            Event                             ev           -
        limitranges                       LimitRange                        limits       -
        namespaces                        Namespace                         ns           CSN
        nodes                             Node                              no           CS
        persistentvolumeclaims            PersistentVolumeClaim             pvc          S
        persistentvolumes                 PersistentVolume                  pv           CS
        pods                              Pod                               po           AS
        podtemplates                      PodTemplate                       -            -
        replicationcontrollers            ReplicationController             rc           ASR
        resourcequotas                    ResourceQuota                     quota        S
        secrets                           Secret                            -            -
        serviceaccounts                   ServiceAccount                    sa           -
        services                          Service                           svc          AS
    """,
    "apiregistration.k8s.io/v1": """
        apiservices                       APIService                        -            CXS
    """,
    "apps/v1": """
        controllerrevisions               ControllerRevision                -            -
        daemonsets                        DaemonSet                         ds           AS
        deployments                       Deployment                        deploy       ASR
        replicasets                       ReplicaSet                        rs           ASR
        statefulsets                      StatefulSet                       sts          ASR
    """,
    "events.k8s.io/v1": """
        events                            Event                             ev           -
    """,
    "authentication.k8s.io/v1": """
        selfsubjectreviews                SelfSubjectReview                 -            CV
        tokenreviews                      TokenReview                       -            CV
    """,
    "authorization.k8s.io/v1": """
        localsubjectaccessreviews         LocalSubjectAccessReview          -            V
        selfsubjectaccessreviews          SelfSubjectAccessReview           -            CV
        selfsubjectrulesreviews           SelfSubjectRulesReview            -            CV
        subjectaccessreviews              SubjectAccessReview               -            CV
    """,
    "autoscaling/v2": """
        horizontalpodautoscalers          HorizontalPodAutoscaler           hpa          AS
    """,
    "autoscaling/v1": """
        horizontalpodautoscalers          HorizontalPodAutoscaler           hpa          AS
    """,
    "batch/v1": """
        cronjobs                          CronJob                           cj           AS
        jobs                              Job                               -            AS
    """,
    "certificates.k8s.io/v1": """
        certificatesigningrequests        CertificateSigningRequest         csr          CS
    """,
    "networking.k8s.io/v1": """
        ingressclasses                    IngressClass                      -            C
        ingresses                         Ingress                           ing          S
        ipaddresses                       IPAddress                         ip           C
        networkpolicies                   NetworkPolicy                     netpol       -
        servicecidrs                      ServiceCIDR                       -            CS
    """,
    "policy/v1": """
        poddisruptionbudgets              PodDisruptionBudget               pdb          S
    """,
    "rbac.authorization.k8s.io/v1": """
        clusterrolebindings               ClusterRoleBinding                -            C
        clusterroles                      ClusterRole                       -            C
        rolebindings                      RoleBinding                       -            -
        roles                             Role                              -            -
    """,
    "storage.k8s.io/v1": """
        csidrivers                        CSIDriver                         -            C
        csinodes                          CSINode                           -            C
        csistoragecapacities              CSIStorageCapacity                -            -
        storageclasses                    StorageClass                      sc           C
        volumeattachments                 VolumeAttachment                  -            CS
        volumeattributesclasses           VolumeAttributesClass             vac          C
    """,
    "admissionregistration.k8s.io/v1": """
        mutatingadmissionpolicies         MutatingAdmissionPolicy           -            CX
        mutatingadmissionpolicybindings   MutatingAdmissionPolicyBinding    -            CX
        mutatingwebhookconfigurations     MutatingWebhookConfiguration      -            CX
        validatingadmissionpolicies       ValidatingAdmissionPolicy         -            CXS
        validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding  -            CX
        validatingwebhookconfigurations   ValidatingWebhookConfiguration    -            CX
    """,
    "apiextensions.k8s.io/v1": """
        customresourcedefinitions         CustomResourceDefinition          crd,crds     CXS
    """,
    "scheduling.k8s.io/v1": """
        priorityclasses                   PriorityClass                     pc           C
    """,
    "coordination.k8s.io/v1": """
        leases                            Lease                             -            -
    """,
    "node.k8s.io/v1": """
        runtimeclasses                    RuntimeClass                      -            C
    """,
    "discovery.k8s.io/v1": """
        endpointslices                    EndpointSlice                     -            -
    """,
    "resource.k8s.io/v1": """
        deviceclasses                     DeviceClass                       -            C
        resourceclaims                    ResourceClaim                     -            S
        resourceclaimtemplates            ResourceClaimTemplate             -            -
        resourceslices                    ResourceSlice                     -            C
    """,
    "flowcontrol.apiserver.k8s.io/v1": """
        flowschemas                       FlowSchema                        -            CS
        prioritylevelconfigurations       PriorityLevelConfiguration        -            CS
    """,
    "metrics.k8s.io/v1beta1": """
        nodes                             NodeMetrics                       -            CG
        pods                              PodMetrics                        -            G
    """,
}

_VERBS = {"V": CREATE, "G": ("get", "list"), "N": tuple(verb for verb in ALL_VERBS if verb != "deletecollection")}


def resources() -> tuple[Resource, ...]:
    """Every built-in kind."""
    return tuple(
        _read(version, *line.split()) for version, lines in TABLE.items() for line in lines.strip().splitlines()
    )


def _read(api_version: str, plural: str, kind: str, short: str, flags: str) -> Resource:
    group, _, version = api_version.rpartition("/")
    extra = {"S": ("status", STATUS), "R": ("scale", STATUS)}
    subresources = [extra[flag] for flag in flags if flag in extra]
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        namespaced="C" not in flags,
        short_names=() if short == "-" else tuple(short.split(",")),
        categories=("all",) if "A" in flags else ("api-extensions",) if "X" in flags else (),
        verbs=next((_VERBS[flag] for flag in flags if flag in _VERBS), ALL_VERBS),
        subresources=tuple(sorted((*subresources, *SUBRESOURCES.get(f"{api_version}/{plural}", ())))),
        singular="" if group == "metrics.k8s.io" else kind.lower(),
        list_kind=f"{kind}List",
    )
