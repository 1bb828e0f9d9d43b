"""Validation of built-in kinds: what is refused on create and on update, with Kubernetes's messages."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kubesim.admission import defaults, validation
from kubesim.admission.validation import names
from kubesim.builtin import resources
from kubesim.errors import Invalid
from kubesim.resources import Object, Registry
from kubesim.schema import Schemas

SCHEMAS, REGISTRY = Schemas(), Registry(resources())


def made(key: str, **fields: Any) -> Object:
    """A defaulted object of a kind."""
    model = SCHEMAS.of(REGISTRY[key])
    metadata = {"name": "x"} | ({"namespace": "n"} if model.resource.namespaced else {}) | fields.pop("metadata", {})
    obj = model.decode(
        {"apiVersion": model.resource.api_version, "kind": model.resource.kind, "metadata": metadata, **fields}
    )
    defaults.apply(model, obj)
    return obj


def refused(key: str, obj: Object, old: Object | None = None) -> list[str]:
    """What is said, cause by cause."""
    model = SCHEMAS.of(REGISTRY[key])
    try:
        if old is None:
            validation.create(model, obj)
        else:
            validation.update(model, obj, old)
    except Invalid as error:
        return [f"{each.get('field', '')}: {each['message']}" for each in error.details["causes"]]
    return []


def pod(*, container: Object | None = None, **spec: Any) -> Object:
    return made("v1/pods", spec={"containers": [{"name": "c", "image": "i:1", **(container or {})}], **spec})


PODS = [
    (pod(), []),
    (pod(container={"name": "Upper"}), f'spec.containers[0].name: Invalid value: "Upper": {names.LABEL_MESSAGE}'),
    (
        pod(container={"image": " i"}),
        'spec.containers[0].image: Invalid value: " i": must not have leading or trailing whitespace',
    ),
    (
        pod(container={"imagePullPolicy": "Often"}),
        'Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',
    ),
    (
        pod(container={"ports": [{"containerPort": 70000}]}),
        "containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        pod(container={"ports": [{"containerPort": 1, "name": "UPPER"}]}),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    ),
    (pod(container={"env": [{"value": "x"}]}), "spec.containers[0].env[0].name: Required value"),
    (
        pod(
            container={"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}
        ),
        'valueFrom: Invalid value: "": may not be specified when `value` is not empty',
    ),
    (
        pod(container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ),
    (
        pod(container={"livenessProbe": {}}),
        "spec.containers[0].livenessProbe: Required value: must specify a handler type",
    ),
    (
        pod(container={"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}}),
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ),
    (
        pod(container={"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}),
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        pod(container={"resources": {"limits": {"cpu": "-1"}}}),
        'limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
    ),
    (
        pod(container={"resources": {"limits": {"cores": "1"}}}),
        'Invalid value: "cores": must be a standard resource type or fully qualified',
    ),
    (
        pod(restartPolicy="Sometimes"),
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
    ),
    (
        pod(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]),
        "may not specify more than 1 volume type",
    ),
    (pod(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName: Required value"),
    (pod(volumes=[{"name": "v"}, {"name": "v"}]), 'spec.volumes[1].name: Duplicate value: "v"'),
    (
        pod(volumes=[{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../k"}]}}]),
        "must not contain '..'",
    ),
    (pod(initContainers=[{"name": "c", "image": "i"}]), 'spec.initContainers[0].name: Duplicate value: "c"'),
    (
        pod(initContainers=[{"name": "d", "image": "i", "livenessProbe": {"exec": {"command": ["x"]}}}]),
        "may not be set for init containers",
    ),
    (pod(tolerations=[{"operator": "Equal", "value": "x"}]), "operator must be Exists when `key` is empty"),
    (
        pod(activeDeadlineSeconds=0),
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
    ),
]


@pytest.mark.parametrize(("obj", "said"), PODS)
def test_pods(obj: Object, said: str | list[str]) -> None:
    found = refused("v1/pods", obj)
    assert found == said if isinstance(said, list) else any(said in each for each in found), found


SPEC = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
VOLUME = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
HIGHEST = "maximum allowed value of a user defined priority is 1000000000"
OTHERS = [
    ("v1/services", {"spec": SPEC}, []),
    ("v1/services", {"spec": {}}, ["spec.ports: Required value"]),
    ("v1/services", {"spec": {"clusterIP": "None"}}, []),
    (
        "v1/services",
        {"spec": SPEC, "metadata": {"name": "1x"}},
        [f'metadata.name: Invalid value: "1x": {names.LABEL_1035_MESSAGE}'],
    ),
    ("v1/services", {"spec": {"type": "ExternalName"}}, ["spec.externalName: Required value"]),
    (
        "v1/services",
        {"spec": {"ports": [{"port": 80, "nodePort": 30080}]}},
        ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ),
    (
        "v1/services",
        {"spec": {"ports": [{"port": 1}, {"port": 2}]}},
        ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
    ),
    ("v1/configmaps", {"data": {"a b": "x"}}, [f'data[a b]: Invalid value: "a b": {names.CONFIG_KEY_MESSAGE}']),
    ("v1/configmaps", {"data": {"a": "x" * ((1 << 20) + 1)}}, ["[]: Too long: may not be more than 1048576 bytes"]),
    ("v1/secrets", {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, ["data[tls.key]: Required value"]),
    (
        "v1/secrets",
        {"type": "kubernetes.io/service-account-token"},
        ["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    ),
    ("v1/persistentvolumeclaims", {"spec": CLAIM}, []),
    (
        "v1/persistentvolumeclaims",
        {"spec": {"resources": {"requests": {"storage": "0"}}}},
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        ],
    ),
    (
        "v1/persistentvolumes",
        {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}},
        ["spec: Required value: must specify a volume type"],
    ),
    ("v1/namespaces", {"metadata": {"name": "a.b"}}, [f'metadata.name: Invalid value: "a.b": {names.LABEL_MESSAGE}']),
    (
        "v1/resourcequotas",
        {"spec": {"hard": {"pods": "-1"}}},
        ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    (
        "rbac.authorization.k8s.io/v1/roles",
        {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
        ["rules[0].verbs: Required value: verbs must contain at least one value"],
    ),
    (
        "rbac.authorization.k8s.io/v1/rolebindings",
        {"roleRef": {"kind": "Row", "name": "r"}},
        ['roleRef.kind: Unsupported value: "Row": supported values: "ClusterRole", "Role"'],
    ),
    (
        "policy/v1/poddisruptionbudgets",
        {"spec": {"minAvailable": 1, "maxUnavailable": 1}},
        [
            'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set'
        ],
    ),
    (
        "scheduling.k8s.io/v1/priorityclasses",
        {"value": 2_000_000_000},
        [f"value: Forbidden: {HIGHEST}"],
    ),
    ("storage.k8s.io/v1/storageclasses", {}, ["provisioner: Required value"]),
    ("networking.k8s.io/v1/networkpolicies", {"spec": {"podSelector": {}}}, []),
]


@pytest.mark.parametrize(("key", "fields", "said"), OTHERS)
def test_other_kinds(key: str, fields: Object, said: list[str]) -> None:
    assert refused(key, made(key, **copy.deepcopy(fields))) == said


@pytest.mark.parametrize(
    ("schedule", "valid"),
    [
        ("*/5 * * * *", True),
        ("0 0 1 jan mon-fri", True),
        ("@hourly", True),
        ("@every 1h30m", True),
        ("* * * *", False),
        ("60 * * * *", False),
        ("*/0 * * * *", False),
        ("TZ=UTC * * * * *", False),
        ("@sometimes", False),
        ("x * * * *", False),
    ],
)
def test_schedules(schedule: str, valid: bool) -> None:
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}
    found = refused(
        "batch/v1/cronjobs", made("batch/v1/cronjobs", spec={"schedule": schedule, "jobTemplate": {"spec": job}})
    )
    assert (found == []) is valid
    assert all(each.startswith("spec.schedule: Invalid value") for each in found)


def changed(obj: Object, **spec: Any) -> Object:
    return {**obj, "spec": {**obj["spec"], **spec}}


def test_of_a_pod_only_a_few_fields_change() -> None:
    before = pod(container={"env": [{"name": "A", "value": "1"}]})
    image = copy.deepcopy(before)
    image["spec"]["containers"][0]["image"] = "i:2"
    assert refused("v1/pods", image, before) == []
    assert refused("v1/pods", changed(before, tolerations=[{"key": "a", "operator": "Exists"}]), before) == []
    env = copy.deepcopy(before)
    env["spec"]["containers"][0]["env"][0]["value"] = "2"
    (said,) = refused("v1/pods", env, before)
    assert said.startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`"
    )
    assert 'spec.containers[0].env[0].value: "1"' in said
    more = changed(before, containers=[*before["spec"]["containers"], {"name": "d", "image": "i"}])
    assert refused("v1/pods", more, before) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]


def test_what_is_immutable_stays() -> None:
    config = made("v1/configmaps", data={"a": "1"}, immutable=True)
    assert refused("v1/configmaps", {**config, "data": {"a": "2"}}, config) == [
        "data: Forbidden: field is immutable when `immutable` is set"
    ]
    secret = made("v1/secrets", stringData={"k": "v"})
    assert refused("v1/secrets", {**secret, "type": "other"}, secret) == [
        'type: Invalid value: "other": field is immutable'
    ]
    service = made("v1/services", spec=SPEC | {"clusterIP": "127.11.0.1"})
    assert refused("v1/services", changed(service, clusterIP="127.11.0.2"), service) == [
        'spec.clusterIPs[0]: Invalid value: "127.11.0.2": may not change once set'
    ]
    binding = made("rbac.authorization.k8s.io/v1/rolebindings", roleRef={"kind": "Role", "name": "a"})
    other = {**binding, "roleRef": {**binding["roleRef"], "name": "other"}}
    assert refused("rbac.authorization.k8s.io/v1/rolebindings", other, binding) == [
        'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"other"}: cannot change roleRef'
    ]


def test_a_bound_claim_may_only_grow() -> None:
    claim = made("v1/persistentvolumeclaims", spec=CLAIM | {"volumeName": "v"}, status={"phase": "Bound"})
    larger = changed(claim, resources={"requests": {"storage": "2Gi"}})
    smaller = changed(claim, resources={"requests": {"storage": "1Mi"}})
    assert refused("v1/persistentvolumeclaims", larger, claim) == []
    assert "can not be less than" in refused("v1/persistentvolumeclaims", smaller, claim)[0]
    modes = changed(claim, accessModes=["ReadWriteMany"])
    assert refused("v1/persistentvolumeclaims", modes, claim)[0].startswith(
        "spec: Forbidden: spec is immutable after creation except"
    )


def test_metadata_is_checked_everywhere() -> None:
    bad = made("v1/configmaps", metadata={"labels": {"a b": "x", "c": "y z"}, "finalizers": ["short"]})
    found = refused("v1/configmaps", bad)
    assert any(
        each.startswith('metadata.finalizers[0]: Invalid value: "short": name is neither a standard finalizer')
        for each in found
    )
    assert f'metadata.labels: Invalid value: "a b": name part {names.QUALIFIED_MESSAGE}' in found
    assert f'metadata.labels: Invalid value: "y z": {names.LABEL_VALUE_MESSAGE}' in found
    config = made("v1/configmaps", metadata={"uid": "u"})
    moved = {**config, "metadata": {**config["metadata"], "uid": "w"}}
    assert refused("v1/configmaps", moved, config) == ['metadata.uid: Invalid value: "w": field is immutable']


def test_a_job_keeps_its_template() -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}
    job = made("batch/v1/jobs", spec={"template": template})
    other = copy.deepcopy(job)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2"
    assert [each.partition(":")[0] for each in refused("batch/v1/jobs", other, job)] == ["spec.template"]
    assert refused("batch/v1/jobs", changed(job, parallelism=3), job) == []


def test_a_stateful_set_keeps_its_claims() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "serviceName": "s", "template": template}
    before = made("apps/v1/statefulsets", spec=spec)
    assert refused("apps/v1/statefulsets", changed(before, replicas=3), before) == []
    assert (
        "updates to statefulset spec for fields other than"
        in refused("apps/v1/statefulsets", changed(before, serviceName="t"), before)[0]
    )
