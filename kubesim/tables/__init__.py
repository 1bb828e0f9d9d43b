"""Server-side printing: the columns and cells of `kubectl get`, for every kind, as Kubernetes 1.36 has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubesim.resources import Object
from kubesim.schema import types
from kubesim.schema.model import Model
from kubesim.tables import cluster, custom, machinery, network, pods, storage, workloads
from kubesim.tables.column import CREATED, NAME, Cells, Column

_DEFAULT: tuple[list[Column], Cells] = ([NAME, CREATED], cluster.created)
_PLAIN: tuple[list[Column], Cells] = (cluster.PLAIN, cluster.plain)
PRINTERS: dict[str, tuple[list[Column], Cells]] = {
    "v1/pods": (pods.COLUMNS, pods.cells),
    "v1/podtemplates": (pods.TEMPLATE_COLUMNS, pods.template_cells),
    "v1/replicationcontrollers": (workloads.REPLICATION_CONTROLLER, workloads.replication_controller),
    "v1/namespaces": (cluster.NAMESPACE, cluster.namespace),
    "v1/nodes": (cluster.NODE, cluster.node),
    "v1/events": (cluster.EVENT, cluster.event),
    "events.k8s.io/v1/events": (cluster.EVENT, cluster.event),
    "v1/configmaps": (cluster.CONFIG_MAP, cluster.config_map),
    "v1/secrets": (cluster.SECRET, cluster.secret),
    "v1/serviceaccounts": (cluster.SERVICE_ACCOUNT, cluster.service_account),
    "v1/resourcequotas": (cluster.QUOTA, cluster.quota),
    "v1/componentstatuses": (cluster.COMPONENT, cluster.component),
    "v1/services": (network.SERVICE, network.service),
    "v1/endpoints": (network.ENDPOINTS, network.endpoints),
    "v1/persistentvolumes": (storage.VOLUME, storage.volume),
    "v1/persistentvolumeclaims": (storage.CLAIM, storage.claim),
    "apps/v1/deployments": (workloads.DEPLOYMENT, workloads.deployment),
    "apps/v1/replicasets": (workloads.REPLICA_SET, workloads.replica_set),
    "apps/v1/statefulsets": (workloads.STATEFUL_SET, workloads.stateful_set),
    "apps/v1/daemonsets": (workloads.DAEMON_SET, workloads.daemon_set),
    "apps/v1/controllerrevisions": (workloads.REVISION, workloads.revision),
    "batch/v1/jobs": (workloads.JOB, workloads.job),
    "batch/v1/cronjobs": (workloads.CRON_JOB, workloads.cron_job),
    "autoscaling/v2/horizontalpodautoscalers": (workloads.AUTOSCALER, workloads.autoscaler),
    "autoscaling/v1/horizontalpodautoscalers": (workloads.AUTOSCALER, workloads.autoscaler_v1),
    "policy/v1/poddisruptionbudgets": (workloads.DISRUPTION_BUDGET, workloads.disruption_budget),
    "rbac.authorization.k8s.io/v1/roles": (cluster.ROLE, cluster.created),
    "rbac.authorization.k8s.io/v1/clusterroles": (cluster.ROLE, cluster.created),
    "rbac.authorization.k8s.io/v1/rolebindings": (cluster.BINDING, cluster.binding),
    "rbac.authorization.k8s.io/v1/clusterrolebindings": (cluster.BINDING, cluster.binding),
    "certificates.k8s.io/v1/certificatesigningrequests": (cluster.SIGNING_REQUEST, cluster.signing_request),
    "coordination.k8s.io/v1/leases": (machinery.LEASE, machinery.lease),
    "scheduling.k8s.io/v1/priorityclasses": (machinery.PRIORITY_CLASS, machinery.priority_class),
    "node.k8s.io/v1/runtimeclasses": (machinery.RUNTIME_CLASS, machinery.runtime_class),
    "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": (machinery.WEBHOOKS, machinery.webhooks),
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations": (machinery.WEBHOOKS, machinery.webhooks),
    "admissionregistration.k8s.io/v1/validatingadmissionpolicies": (machinery.POLICY, machinery.policy),
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicies": (machinery.MUTATING_POLICY, machinery.policy),
    "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings": (
        machinery.POLICY_BINDING,
        machinery.policy_binding,
    ),
    "admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings": (
        machinery.POLICY_BINDING,
        machinery.policy_binding,
    ),
    "apiregistration.k8s.io/v1/apiservices": (machinery.API_SERVICE, machinery.api_service),
    "flowcontrol.apiserver.k8s.io/v1/flowschemas": (machinery.FLOW_SCHEMA, machinery.flow_schema),
    "flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations": (machinery.PRIORITY_LEVEL, machinery.priority_level),
    "networking.k8s.io/v1/ingresses": (network.INGRESS, network.ingress),
    "networking.k8s.io/v1/ingressclasses": (network.INGRESS_CLASS, network.ingress_class),
    "networking.k8s.io/v1/networkpolicies": (network.NETWORK_POLICY, network.network_policy),
    "networking.k8s.io/v1/ipaddresses": (network.IP_ADDRESS, network.ip_address),
    "networking.k8s.io/v1/servicecidrs": (network.SERVICE_CIDR, network.service_cidr),
    "discovery.k8s.io/v1/endpointslices": (network.ENDPOINT_SLICE, network.endpoint_slice),
    "storage.k8s.io/v1/storageclasses": (storage.STORAGE_CLASS, storage.storage_class),
    "storage.k8s.io/v1/csidrivers": (storage.CSI_DRIVER, storage.csi_driver),
    "storage.k8s.io/v1/csinodes": (storage.CSI_NODE, storage.csi_node),
    "storage.k8s.io/v1/csistoragecapacities": (storage.CAPACITY, storage.capacity),
    "storage.k8s.io/v1/volumeattachments": (storage.ATTACHMENT, storage.attachment),
    "storage.k8s.io/v1/volumeattributesclasses": (storage.ATTRIBUTES_CLASS, storage.attributes_class),
    "resource.k8s.io/v1/deviceclasses": _PLAIN,
    "resource.k8s.io/v1/resourceclaimtemplates": _PLAIN,
    "resource.k8s.io/v1/resourceclaims": (machinery.CLAIM, machinery.claim),
    "resource.k8s.io/v1/resourceslices": (machinery.SLICE, machinery.device_slice),
}
_definitions: dict[str, list[Object]] = {}


def columns(model: Model) -> list[Object]:
    """A Table's columnDefinitions. Descriptions are the API's own; they are looked up once per kind."""
    if model.structural is not None:
        return [*_described([NAME]), *(_custom(column) for column in custom.printed(model))]
    key = model.resource.key
    if key not in _definitions:
        _definitions[key] = _described(PRINTERS.get(key, _DEFAULT)[0])
    return _definitions[key]


def cells(model: Model, obj: Object, now: datetime) -> list[Any]:
    """One row's cells. `now` (with a time zone) is what ages are counted to."""
    if model.structural is not None:
        return custom.cells(model, obj, now)
    return PRINTERS.get(model.resource.key, _DEFAULT)[1](obj, now)


def scale_columns() -> list[Object]:
    """The columns of a kind's scale subresource, which is of another kind than its parent."""
    return _described(workloads.SCALE)


def scale_cells(obj: Object, now: datetime) -> list[Any]:
    return workloads.scale(obj, now)


def _described(found: list[Column]) -> list[Object]:
    docs = types.docs()
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": _about(column.about, docs),
            "priority": int(column.wide),
        }
        for column in found
    ]


def _about(text: str, docs: dict[str, dict[str, str]]) -> str:
    """A field's description where `text` names a field, else the text itself."""
    owner, _, field = text.rpartition(".")
    return docs.get(owner, {}).get(field, text)


def _custom(column: Object) -> Object:
    about = column.get("description")
    if not about and column is custom.AGE:
        about = _about(custom.CREATED_ABOUT, types.docs())
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": about or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
        "priority": column.get("priority", 0),
    }
