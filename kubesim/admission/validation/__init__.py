"""Validation of objects before they are stored, kind by kind, with Kubernetes's messages. Pure: only the object (and the old one) is seen.

`create` and `update` raise `Invalid` with every problem found, metadata first. Custom kinds are validated by their schema. What needs the
store (a taken node port, a missing namespace) is the API's and admission's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubesim.admission.validation import (
    apps,
    batch,
    config,
    machinery,
    meta,
    names,
    pods,
    rbac,
    scaling,
    services,
    storage,
)
from kubesim.admission.validation.fields import Problems
from kubesim.resources import Object
from kubesim.schema.model import Model

Create = Callable[[Problems, Object], None]
Update = Callable[[Problems, Object, Object], None]


class Rules(NamedTuple):
    create: Create
    update: Update
    name: meta.NameCheck = names.subdomain


def _anything(problems: Problems, obj: Object) -> None:
    """Kinds of which only metadata is checked."""


REVIEWS = ("authentication.k8s.io", "authorization.k8s.io")
"""Groups of questions, not of objects: they have no names."""

PLAIN = Rules(_anything, config.no_update)
RULES: dict[str, Rules] = {
    "v1/pods": Rules(pods.create, pods.update),
    "v1/configmaps": Rules(config.config_map, config.config_map_update),
    "v1/secrets": Rules(config.secret, config.secret_update),
    "v1/namespaces": Rules(config.namespace, config.namespace_update, names.label),
    "v1/nodes": Rules(config.node, config.node_update),
    "v1/resourcequotas": Rules(config.resource_quota, config.resource_quota_update),
    "v1/limitranges": Rules(config.limit_range, config.no_update),
    "v1/events": Rules(config.event, config.no_update),
    "v1/services": Rules(services.service, services.service_update, names.label_1035),
    "v1/endpoints": Rules(services.endpoints, services.endpoints_update),
    "v1/persistentvolumeclaims": Rules(storage.claim, storage.claim_update),
    "v1/persistentvolumes": Rules(storage.volume, storage.volume_update),
    "v1/replicationcontrollers": Rules(apps.replication_controller, apps.replication_controller_update),
    "apps/v1/deployments": Rules(apps.deployment, apps.deployment_update),
    "apps/v1/replicasets": Rules(apps.replica_set, apps.replica_set_update),
    "apps/v1/statefulsets": Rules(apps.stateful_set, apps.stateful_set_update, names.label),
    "apps/v1/daemonsets": Rules(apps.daemon_set, apps.daemon_set_update),
    "batch/v1/jobs": Rules(batch.job, batch.job_update),
    "batch/v1/cronjobs": Rules(batch.cron_job, batch.cron_job_update),
    "autoscaling/v2/horizontalpodautoscalers": Rules(scaling.autoscaler, scaling.autoscaler_update),
    "autoscaling/v1/horizontalpodautoscalers": Rules(scaling.autoscaler, scaling.autoscaler_update),
    "policy/v1/poddisruptionbudgets": Rules(scaling.disruption_budget, scaling.disruption_budget_update),
    "scheduling.k8s.io/v1/priorityclasses": Rules(scaling.priority_class, scaling.priority_class_update),
    "networking.k8s.io/v1/ingresses": Rules(services.ingress, services.ingress_update),
    "networking.k8s.io/v1/networkpolicies": Rules(services.network_policy, services.network_policy_update),
    "discovery.k8s.io/v1/endpointslices": Rules(services.endpoint_slice, services.endpoint_slice_update),
    "storage.k8s.io/v1/storageclasses": Rules(storage.storage_class, storage.storage_class_update),
    "rbac.authorization.k8s.io/v1/roles": Rules(rbac.role, rbac.role_update, names.path_segment),
    "rbac.authorization.k8s.io/v1/clusterroles": Rules(rbac.cluster_role, rbac.cluster_role_update, names.path_segment),
    "rbac.authorization.k8s.io/v1/rolebindings": Rules(rbac.role_binding, rbac.role_binding_update, names.path_segment),
    "rbac.authorization.k8s.io/v1/clusterrolebindings": Rules(
        rbac.cluster_role_binding, rbac.cluster_role_binding_update, names.path_segment
    ),
    "apiextensions.k8s.io/v1/customresourcedefinitions": Rules(machinery.definition, machinery.definition_update),
    "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": Rules(
        machinery.webhooks, machinery.webhooks_update
    ),
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations": Rules(
        machinery.webhooks, machinery.webhooks_update
    ),
    "certificates.k8s.io/v1/certificatesigningrequests": Rules(
        machinery.signing_request, machinery.signing_request_update, names.path_segment
    ),
    "apiregistration.k8s.io/v1/apiservices": Rules(machinery.api_service, config.no_update, names.path_segment),
    "coordination.k8s.io/v1/leases": Rules(machinery.lease, machinery.lease_update),
}


def create(model: Model, obj: Object) -> None:
    """Raise Invalid where a new object is not one Kubernetes would take."""
    resource, found = model.resource, Problems()
    rules = RULES.get(resource.key, PLAIN)
    metadata = obj.get("metadata") or {}
    if not resource.group.startswith(REVIEWS):
        meta.metadata(found, metadata, namespaced=resource.namespaced, name=rules.name, custom=resource.custom)
    if model.structural is not None:
        found.extend(model.structural.validate(obj))
    else:
        rules.create(found, obj)
    found.raise_for(resource, metadata.get("name") or "")


def update(model: Model, obj: Object, old: Object, subresource: str = "") -> None:
    """Raise Invalid where the change is not one Kubernetes would take. Of a subresource's write only metadata (and a custom kind's schema)
    is checked: the API lets it change nothing but its part."""
    resource, found = model.resource, Problems()
    metadata = obj.get("metadata") or {}
    meta.update(found, metadata, old.get("metadata") or {}, custom=resource.custom)
    if model.structural is not None:
        found.extend(model.structural.validate(obj, old))
    elif subresource in ("", "scale"):
        RULES.get(resource.key, PLAIN).update(found, obj, old)
    elif subresource == "resize":
        pods.resize(found, obj, old)
    found.raise_for(resource, metadata.get("name") or "")
