"""What the Go types of the Kubernetes API know and its OpenAPI document for other languages does not say.

Used only when the tables are made. Names are those of the tables: "core.v1.Container", fields as "core.v1.Container.resources".
"""

from __future__ import annotations

from typing import Any

META = "apimachinery.pkg.apis.meta.v1"
CRD = "apiextensions-apiserver.pkg.apis.apiextensions.v1"

EXTRA_TYPES = (
    "autoscaling.v1.Scale",
    "policy.v1.Eviction",
    "authentication.v1.TokenRequest",
    "core.v1.Binding",
    f"{META}.DeleteOptions",
    f"{META}.Status",
    f"{META}.ListMeta",
    f"{META}.WatchEvent",
    f"{META}.APIGroup",
    f"{META}.APIGroupList",
    f"{META}.APIResourceList",
    f"{META}.APIVersions",
)

ATOMIC_STRUCTS = {
    f"{META}.LabelSelector",
    f"{META}.OwnerReference",
    "core.v1.ConfigMapKeySelector",
    "core.v1.FileKeySelector",
    "core.v1.LocalObjectReference",
    "core.v1.NodeSelector",
    "core.v1.NodeSelectorTerm",
    "core.v1.ObjectFieldSelector",
    "core.v1.ObjectReference",
    "core.v1.ResourceFieldSelector",
    "core.v1.ScopeSelector",
    "core.v1.SecretKeySelector",
    "core.v1.SecretReference",
    "core.v1.TopologySelectorTerm",
    "core.v1.TypedLocalObjectReference",
    "networking.v1.ServiceBackendPort",
    "rbac.v1.RoleRef",
    "rbac.v1.Subject",
    "admissionregistration.v1.MatchResources",
    "admissionregistration.v1.NamedRuleWithOperations",
    "admissionregistration.v1.ParamKind",
    "admissionregistration.v1.ParamRef",
}
"""Structs that one manager owns whole (Go's `+structType=atomic`)."""

INT64 = {
    "activeDeadlineSeconds",
    "deletionGracePeriodSeconds",
    "expirationSeconds",
    "fsGroup",
    "generation",
    "gracePeriodSeconds",
    "observedGeneration",
    "podCIDRIndex",
    "remainingItemCount",
    "revision",
    "runAsGroup",
    "runAsUser",
    "terminationGracePeriodSeconds",
    "tolerationSeconds",
    "sizeBytes",
    "seconds",
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "maxProperties",
    "minProperties",
    "uid64",
}

QUANTITY_MAPS = {
    "allocatable",
    "allocatedResources",
    "capacity",
    "default",
    "defaultRequest",
    "hard",
    "limits",
    "max",
    "maxLimitRequestRatio",
    "min",
    "overhead",
    "podFixed",
    "requests",
    "used",
}

MAP_VALUES = {
    "list[str]": "List[str]",
    "datetime": "meta_v1.Time",
    "V1JSONSchemaProps": "JSONSchemaProps",
    "V1Counter": "Counter",
    "V1DeviceAttribute": "DeviceAttribute",
    "V1NodeAllocatableResourceMapping": "NodeAllocatableResourceMapping",
}
"""The values of maps, from the words of the `kubernetes` package to those of `lightkube`."""

TYPE_OVERRIDES = {
    "core.v1.Secret.data": "{bytes}",
    "core.v1.ConfigMap.binaryData": "{bytes}",
    "core.v1.PodSecurityContext.supplementalGroups": "[int64]",
    "admissionregistration.v1.WebhookClientConfig.caBundle": "bytes",
    f"{CRD}.WebhookClientConfig.caBundle": "bytes",
    "kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec.caBundle": "bytes",
    "certificates.v1.CertificateSigningRequestSpec.request": "bytes",
    "certificates.v1.CertificateSigningRequestStatus.certificate": "bytes",
}

POINTERS = {
    "core.v1.ReplicationControllerSpec.template",
}

VALUE_STRUCTS = {
    "apps.v1.DaemonSetSpec.template",
    "apps.v1.DaemonSetSpec.updateStrategy",
    "apps.v1.DeploymentSpec.strategy",
    "apps.v1.DeploymentSpec.template",
    "apps.v1.ReplicaSetSpec.template",
    "apps.v1.StatefulSetSpec.template",
    "apps.v1.StatefulSetSpec.updateStrategy",
    "apps.v1.ControllerRevision.data",
    "autoscaling.v1.HorizontalPodAutoscalerSpec.scaleTargetRef",
    "autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef",
    "autoscaling.v2.ContainerResourceMetricSource.target",
    "autoscaling.v2.ContainerResourceMetricStatus.current",
    "autoscaling.v2.ExternalMetricSource.metric",
    "autoscaling.v2.ExternalMetricSource.target",
    "autoscaling.v2.ExternalMetricStatus.current",
    "autoscaling.v2.ExternalMetricStatus.metric",
    "autoscaling.v2.ObjectMetricSource.describedObject",
    "autoscaling.v2.ObjectMetricSource.metric",
    "autoscaling.v2.ObjectMetricSource.target",
    "autoscaling.v2.PodsMetricSource.metric",
    "autoscaling.v2.PodsMetricSource.target",
    "autoscaling.v2.PodsMetricStatus.current",
    "autoscaling.v2.PodsMetricStatus.metric",
    "autoscaling.v2.ResourceMetricSource.target",
    "autoscaling.v2.ResourceMetricStatus.current",
    "batch.v1.CronJobSpec.jobTemplate",
    "batch.v1.JobSpec.template",
    "core.v1.Container.resources",
    "core.v1.EphemeralContainer.resources",
    "core.v1.PersistentVolumeClaimSpec.resources",
    "core.v1.ContainerStatus.lastState",
    "core.v1.ContainerStatus.state",
    "core.v1.Event.involvedObject",
    "core.v1.Event.source",
    "core.v1.Binding.target",
    "core.v1.NodeDaemonEndpoints.kubeletEndpoint",
    "core.v1.NodeStatus.daemonEndpoints",
    "core.v1.NodeStatus.nodeInfo",
    "core.v1.PodTemplate.template",
    "core.v1.ServiceStatus.loadBalancer",
    "networking.v1.IngressStatus.loadBalancer",
    "networking.v1.NetworkPolicySpec.podSelector",
    "networking.v1.IngressServiceBackend.port",
    "core.v1.WeightedPodAffinityTerm.podAffinityTerm",
    "core.v1.PreferredSchedulingTerm.preference",
    "discovery.v1.Endpoint.conditions",
    f"{CRD}.CustomResourceDefinitionSpec.names",
    f"{CRD}.CustomResourceDefinitionStatus.acceptedNames",
    "events.v1.Event.deprecatedSource",
    "events.v1.Event.regarding",
    "rbac.v1.ClusterRoleBinding.roleRef",
    "rbac.v1.RoleBinding.roleRef",
    "admissionregistration.v1.MutatingWebhook.clientConfig",
    "admissionregistration.v1.ValidatingWebhook.clientConfig",
    "storage.v1.VolumeAttachmentSpec.source",
    "flowcontrol.v1.FlowSchemaSpec.priorityLevelConfiguration",
    "flowcontrol.v1.LimitedPriorityLevelConfiguration.limitResponse",
    "authentication.v1.TokenReviewStatus.user",
    "authentication.v1.SelfSubjectReviewStatus.userInfo",
    "resource.v1.ResourceClaimSpec.devices",
    "resource.v1.ResourceClaimTemplateSpec.spec",
    "resource.v1.ResourceSliceSpec.pool",
}
"""Struct fields that are Go values, not pointers: they are there even when nobody set them (`resources: {}`, `status: {}`)."""

BARE = {
    "core.v1.Event.eventTime",
    "core.v1.Event.firstTimestamp",
    "core.v1.Event.lastTimestamp",
    "core.v1.Event.reportingComponent",
    "core.v1.Event.reportingInstance",
    "core.v1.PodCondition.lastProbeTime",
    "core.v1.PodCondition.lastTransitionTime",
    "authentication.v1.TokenRequestSpec.boundObjectRef",
    "autoscaling.v2.HorizontalPodAutoscalerStatus.currentMetrics",
    "rbac.v1.ClusterRole.rules",
    "rbac.v1.Role.rules",
    f"{CRD}.CustomResourceDefinitionStatus.conditions",
    f"{CRD}.CustomResourceDefinitionStatus.storedVersions",
    "apps.v1.StatefulSetStatus.availableReplicas",
}
"""Fields without omitempty that the OpenAPI document calls optional: a null or a zero shows where nothing is set."""

METRICS = "metrics.pkg.apis.metrics.v1beta1"
METRICS_KINDS = {
    "metrics.k8s.io/v1beta1/NodeMetrics": f"{METRICS}.NodeMetrics",
    "metrics.k8s.io/v1beta1/PodMetrics": f"{METRICS}.PodMetrics",
}
_HEAD = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": f"{META}.ObjectMeta", "value": True},
    "timestamp": {"type": "time", "required": True},
    "window": {"type": "string", "required": True},
}
METRICS_TYPES: dict[str, Any] = {
    f"{METRICS}.NodeMetrics": {"fields": {**_HEAD, "usage": {"type": "{quantity}", "required": True}}},
    f"{METRICS}.PodMetrics": {
        "fields": {**_HEAD, "containers": {"type": f"[{METRICS}.ContainerMetrics]", "required": True}}
    },
    f"{METRICS}.ContainerMetrics": {
        "fields": {"name": {"type": "string", "required": True}, "usage": {"type": "{quantity}", "required": True}}
    },
}
"""metrics.k8s.io is served by an add-on, so that the models do not have it."""
