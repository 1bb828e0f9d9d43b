"""A `Reader` over a dictionary, and the objects that tests of auth and admission write into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubesim.auth.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GROUP, ROLE_BINDINGS, ROLES
from kubesim.resources import Object


class Memory:
    """What `kubesim.auth.reader.Reader` promises, with `put` and `drop` to change it."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._changed: dict[str, int] = {}
        self._revision = 0

    def get(self, key: str, namespace: str, name: str) -> Object | None:
        return self._objects.get(key, {}).get((namespace, name))

    def list(self, key: str, namespace: str = "") -> Sequence[Object]:
        return [obj for (space, _), obj in self._objects.get(key, {}).items() if not namespace or space == namespace]

    def changed(self, key: str) -> int:
        return self._changed.get(key, 0)

    def put(self, key: str, obj: Object) -> Object:
        metadata = obj["metadata"]
        self._revision += 1
        metadata.setdefault("uid", f"uid-{self._revision}")
        metadata["resourceVersion"] = str(self._revision)
        self._objects.setdefault(key, {})[metadata.get("namespace", ""), metadata["name"]] = obj
        self._changed[key] = self._revision
        return obj

    def drop(self, key: str, namespace: str, name: str) -> None:
        self._revision += 1
        del self._objects[key][namespace, name]
        self._changed[key] = self._revision

    def role(self, namespace: str, name: str, *rules: Object) -> None:
        self.put(ROLES, {"metadata": {"namespace": namespace, "name": name}, "rules": list(rules)})

    def cluster_role(self, name: str, *rules: Object, **more: Any) -> None:
        self.put(CLUSTER_ROLES, {"metadata": {"name": name}, "rules": list(rules), **more})

    def bind(self, namespace: str, name: str, role: str, *subjects: Object) -> None:
        """`role` is "Role/name" or "ClusterRole/name"; with namespace "" it is a ClusterRoleBinding."""
        kind, _, referred = role.partition("/")
        self.put(
            ROLE_BINDINGS if namespace else CLUSTER_ROLE_BINDINGS,
            {
                "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
                "roleRef": {"apiGroup": GROUP, "kind": kind, "name": referred},
                "subjects": list(subjects),
            },
        )


def user_subject(name: str) -> Object:
    return {"kind": "User", "apiGroup": GROUP, "name": name}


def group_subject(name: str) -> Object:
    return {"kind": "Group", "apiGroup": GROUP, "name": name}


def account_subject(namespace: str, name: str) -> Object:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def rule_on(resources: str, verbs: str, *, group: str = "", names: Sequence[str] = ()) -> Object:
    body: Object = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return body | ({"resourceNames": list(names)} if names else {})


def namespaced(name: str, namespace: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, **more}
