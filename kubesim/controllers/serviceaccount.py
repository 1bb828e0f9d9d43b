"""What every namespace starts with: ServiceAccount `default`, and ConfigMap `kube-root-ca.crt` with the cluster's CA.

Both come back when they are deleted, and the ConfigMap when it is changed, as long as the namespace is active. A Secret that asks for a lasting
token of a ServiceAccount gets it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from kubesim.controllers.informer import Key, key_of, outline
from kubesim.controllers.kinds import CONFIG_MAPS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS
from kubesim.controllers.meta import annotations_of, deleting
from kubesim.controllers.runtime import Cluster, Controller
from kubesim.errors import AlreadyExists
from kubesim.resources import Object

ACCOUNT = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"
ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


Issue = Callable[[Object, Object], str]


def _namespace_key(obj: Object) -> list[Key]:
    return [Key("", obj["metadata"]["name"])]


class ServiceAccounts(Controller):
    """ServiceAccount `default` everywhere."""

    name = "serviceaccount-controller"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.namespaces = self.on(NAMESPACES, _namespace_key)
        self.accounts = self.on(SERVICE_ACCOUNTS, _default_account)

    async def reconcile(self, key: Key) -> None:
        if not is_open(self.namespaces.get(*key)) or self.accounts.get(key.name, "default"):
            return
        try:
            await self.cluster.create(
                SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": key.name}}, key.name
            )
        except AlreadyExists:
            pass


def _default_account(account: Object) -> list[Key]:
    return [Key("", account["metadata"]["namespace"])] if account["metadata"]["name"] == "default" else []


class RootCertificates(Controller):
    """ConfigMap `kube-root-ca.crt` everywhere."""

    name = "root-ca-certificate-publisher"

    def __init__(self, cluster: Cluster, *, ca: str) -> None:
        super().__init__(cluster)
        self.data = {"ca.crt": ca}
        self.namespaces = self.on(NAMESPACES, _namespace_key)
        self.maps = self.on(CONFIG_MAPS, _root_map, keep=outline)

    async def reconcile(self, key: Key) -> None:
        if not is_open(self.namespaces.get(*key)):
            return
        found = await self.read(CONFIG_MAPS, Key(key.name, ROOT_CA)) if self.maps.get(key.name, ROOT_CA) else None
        if found is not None and found.get("data") == self.data:
            return
        if found is not None:
            await self.cluster.update(CONFIG_MAPS, found | {"data": self.data})
            return
        metadata = {"name": ROOT_CA, "namespace": key.name, "annotations": {"kubernetes.io/description": DESCRIPTION}}
        try:
            await self.cluster.create(CONFIG_MAPS, {"metadata": metadata, "data": self.data}, key.name)
        except AlreadyExists:
            pass


def _root_map(found: Object) -> list[Key]:
    return [Key("", found["metadata"]["namespace"])] if found["metadata"]["name"] == ROOT_CA else []


class TokenSecrets(Controller):
    """Secrets of a ServiceAccount's token: filled with one that `issue` makes (account, secret), and gone with the account."""

    name = "serviceaccount-token-controller"
    TYPE = "kubernetes.io/service-account-token"

    def __init__(self, cluster: Cluster, *, ca: str, issue: Issue | None) -> None:
        super().__init__(cluster)
        self.ca, self.issue = ca, issue
        self.accounts = self.informer(SERVICE_ACCOUNTS)
        self.secrets = self.on(SECRETS, _token_secret, keep=outline)
        self.accounts.on(self._account_changed)

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is None:
            for secret in self.secrets.items(old["metadata"]["namespace"]):
                for key in _token_secret(secret):
                    self.queue.add(key)

    async def reconcile(self, key: Key) -> None:
        secret = await self.read(SECRETS, key) if self.secrets.get(*key) else None
        if secret is None or secret.get("type") != self.TYPE:
            return
        account = await self._account(key.namespace, annotations_of(secret).get(ACCOUNT, ""))
        wanted = annotations_of(secret).get(UID)
        if account is None or (wanted and wanted != account["metadata"]["uid"]):
            await self.cluster.delete(SECRETS, secret)
        elif self.issue is not None:
            await self._fill(secret, account, self.issue)

    async def _fill(self, secret: Object, account: Object, issue: Issue) -> None:
        """Writes what is missing; a token that is there stays, whoever holds it counts on it."""
        data = secret.get("data") or {}
        wanted = {"ca.crt": _encoded(self.ca), "namespace": _encoded(account["metadata"]["namespace"])}
        wanted["token"] = data.get("token") or _encoded(issue(account, secret))
        annotations = {**annotations_of(secret), UID: account["metadata"]["uid"]}
        if data | wanted != data or annotations != annotations_of(secret):
            metadata = secret["metadata"] | {"annotations": annotations}
            await self.cluster.update(SECRETS, secret | {"metadata": metadata, "data": data | wanted})

    async def _account(self, namespace: str, name: str) -> Object | None:
        """From the API where the copy has none: the Secret's event may have come first."""
        found = self.accounts.get(namespace, name)
        return found if found is not None or not name else await self.read(SERVICE_ACCOUNTS, Key(namespace, name))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _token_secret(secret: Object) -> list[Key]:
    """Its own key, where it may be a token: that is what the annotation makes it, with the type."""
    return [key_of(secret)] if ACCOUNT in annotations_of(secret) else []


def is_open(namespace: Object | None) -> bool:
    """Whether objects can be created in it."""
    return namespace is not None and not deleting(namespace)
