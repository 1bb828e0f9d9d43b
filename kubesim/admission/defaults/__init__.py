"""What the API server fills in before admission, kind by kind, as Kubernetes 1.36 does. Pure: objects are changed in place, nothing is read."""

from __future__ import annotations

from collections.abc import Callable

from kubesim.admission.defaults import apps, autoscaling, batch, core, networking, others, pods, storage
from kubesim.resources import Object
from kubesim.schema.model import Model

DEFAULTS: dict[str, Callable[[Object], None]] = {
    "v1/pods": pods.pod,
    "v1/podtemplates": pods.pod_template,
    "v1/replicationcontrollers": apps.replication_controller,
    "v1/services": networking.service,
    "v1/endpoints": networking.endpoints,
    "v1/namespaces": core.namespace,
    "v1/secrets": core.secret,
    "v1/nodes": core.node,
    "v1/limitranges": core.limit_range,
    "v1/persistentvolumes": storage.persistent_volume,
    "v1/persistentvolumeclaims": storage.persistent_volume_claim,
    "apps/v1/deployments": apps.deployment,
    "apps/v1/replicasets": apps.replica_set,
    "apps/v1/statefulsets": apps.stateful_set,
    "apps/v1/daemonsets": apps.daemon_set,
    "batch/v1/jobs": batch.job,
    "batch/v1/cronjobs": batch.cron_job,
    "autoscaling/v2/horizontalpodautoscalers": autoscaling.v2,
    "autoscaling/v1/horizontalpodautoscalers": autoscaling.v1,
    "networking.k8s.io/v1/networkpolicies": networking.network_policy,
    "networking.k8s.io/v1/ingressclasses": networking.ingress_class,
    "discovery.k8s.io/v1/endpointslices": networking.endpoint_slice,
    "storage.k8s.io/v1/storageclasses": storage.storage_class,
    "storage.k8s.io/v1/csidrivers": storage.csi_driver,
    "rbac.authorization.k8s.io/v1/rolebindings": others.role_binding,
    "rbac.authorization.k8s.io/v1/clusterrolebindings": others.role_binding,
    "scheduling.k8s.io/v1/priorityclasses": others.priority_class,
    "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": others.mutating_webhooks,
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations": others.validating_webhooks,
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies": others.admission_policy,
    "apiextensions.k8s.io/v1/customresourcedefinitions": others.custom_resource_definition,
    "apiregistration.k8s.io/v1/apiservices": others.api_service,
    "certificates.k8s.io/v1/certificatesigningrequests": others.certificate_signing_request,
    "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations": others.priority_level,
    "flowcontrol.apiserver.k8s.io/v1/flowschemas": others.flow_schema,
}


def apply(model: Model, obj: Object) -> None:
    """Fill in defaults, in place; `obj` comes out of `model.decode`."""
    if model.structural is not None:
        model.structural.default(obj)
        return
    fill = DEFAULTS.get(model.resource.key)
    if fill is not None:
        fill(obj)
