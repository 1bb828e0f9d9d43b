"""A pod's volumes as folders of the host: STATE/node/pods/UID/volumes/NAME, or where the volume itself lives.

emptyDir, configMap, secret, projected (serviceAccountToken, configMap, secret, downwardAPI), downwardAPI, hostPath and
persistentVolumeClaim. A PersistentVolume's hostPath or local path is a folder under STATE/volumes, whatever its path says: the lab's user may
not write to /data, and a lab that is removed takes its data along. A pod's own hostPath is the host's where it exists, else it is made
under STATE/volumes too; the state folder itself is refused.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubesim.client import Client
from kubesim.errors import ApiError, NotFound
from kubesim.node import atomic, environment
from kubesim.node.atomic import File
from kubesim.resources import Object

CLAIMS, VOLUMES, ACCOUNTS = "v1/persistentvolumeclaims", "v1/persistentvolumes", "v1/serviceaccounts"
_KINDS = {"configMap": "configmaps", "secret": "secrets"}


class VolumeError(Exception):
    """A volume cannot be set up yet; the message is what the FailedMount event says."""


@dataclass(frozen=True)
class Token:
    """A service account token, and when to ask for the next (80 % of its life, as the kubelet does)."""

    text: str
    renew_at: float


class Volumes:
    """The volumes of one pod."""

    def __init__(self, client: Client, *, state: Path, folder: Path, node: Object) -> None:
        self.client, self.state, self.folder, self.node = client, state, folder, node
        self.tokens: dict[tuple[str, int], Token] = {}

    async def setup(self, pod: Object) -> dict[str, Path]:
        """Every volume, made or brought up to date; where each is on the host. Raises VolumeError."""
        return {volume["name"]: await self._one(pod, volume) for volume in pod["spec"].get("volumes") or []}

    async def refresh(self, pod: Object) -> None:
        """Bring what comes from the API up to date; what is missing now stays as it is."""
        for volume in pod["spec"].get("volumes") or []:
            if volume.keys() & {"configMap", "secret", "projected", "downwardAPI"}:
                try:
                    await self._one(pod, volume)
                except (VolumeError, ApiError, OSError):
                    continue

    def remove(self) -> None:
        """Forget the pod's own volumes; persistent ones are not in here."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _one(self, pod: Object, volume: Object) -> Path:
        place = self.folder / "volumes" / str(volume["name"])
        if "emptyDir" in volume:
            return _shared(place, _fs_group(pod))
        if "hostPath" in volume:
            return self._host_path(volume["hostPath"])
        if "persistentVolumeClaim" in volume:
            return await self._claim(pod, volume["persistentVolumeClaim"]["claimName"])
        if "ephemeral" in volume:
            return await self._claim(pod, f"{pod['metadata']['name']}-{volume['name']}")
        try:
            atomic.write(place, await self._payload(pod, volume), group=_fs_group(pod))
        except (atomic.UnsafePath, VolumeError) as error:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error
        return place

    # Persistent and host folders

    def _host_path(self, source: Object) -> Path:
        path, kind = Path(os.path.normpath("/" + source["path"])), source.get("type", "")
        real = Path(os.path.realpath(path))
        if _inside(real, self.state) or (_inside(self.state, real) and real != Path("/")):
            raise VolumeError(f"hostPath {path} is the cluster's own state")
        if path.exists():
            return path
        if kind in ("Directory", "File", "Socket", "CharDevice", "BlockDevice"):
            raise VolumeError(
                f"hostPath type check failed: {path} is not a {'directory' if kind == 'Directory' else 'file'}"
            )
        return self._under_state(path, file=kind == "FileOrCreate")

    def _under_state(self, path: Path, *, file: bool = False) -> Path:
        target = self.state / "volumes" / str(path).lstrip("/")
        if not file:
            return _shared(target, None)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        return target

    async def _claim(self, pod: Object, name: str) -> Path:
        namespace = pod["metadata"]["namespace"]
        try:
            claim = await self.client.get(CLAIMS, name, namespace)
            if claim["status"].get("phase") != "Bound":
                raise VolumeError(f'persistentvolumeclaim "{name}" is not bound')
            volume = await self.client.get(VOLUMES, claim["spec"]["volumeName"])
        except NotFound as error:
            raise VolumeError(error.message) from error
        return self.persistent(volume, _fs_group(pod))

    def persistent(self, volume: Object, group: int | None = None) -> Path:
        """Where a PersistentVolume's data lives."""
        spec = volume["spec"]
        source = spec.get("hostPath") or spec.get("local") or {"path": f"/pv/{volume['metadata']['name']}"}
        path = Path(os.path.normpath("/" + source["path"]))
        target = path if _inside(path, self.state / "volumes") else self.state / "volumes" / str(path).lstrip("/")
        return _shared(target, group)

    # What comes from the API

    async def _payload(self, pod: Object, volume: Object) -> dict[str, File]:
        for field in ("configMap", "secret"):
            if source := volume.get(field):
                return await self._keys(pod, field, source, mode=source.get("defaultMode", 0o644))
        if source := volume.get("downwardAPI"):
            return self._downward(pod, source, mode=source.get("defaultMode", 0o644))
        if source := volume.get("projected"):
            payload: dict[str, File] = {}
            for item in source.get("sources") or []:
                payload |= await self._projection(pod, item, mode=source.get("defaultMode", 0o644))
            return payload
        raise VolumeError(f"no volume plugin matched: {', '.join(sorted(volume.keys() - {'name'})) or 'nothing'}")

    async def _projection(self, pod: Object, item: Object, *, mode: int) -> dict[str, File]:
        for field in ("configMap", "secret"):
            if source := item.get(field):
                return await self._keys(pod, field, source, mode=mode)
        if source := item.get("downwardAPI"):
            return self._downward(pod, source, mode=mode)
        if source := item.get("serviceAccountToken"):
            token = await self._token(pod, source)
            return {source["path"]: File(token.encode(), 0o600 if _fs_group(pod) is not None else mode)}
        return {}

    async def _keys(self, pod: Object, field: str, source: Object, *, mode: int) -> dict[str, File]:
        name, kind = source.get("secretName") or source.get("name") or "", _KINDS[field]
        try:
            found = await self.client.get(f"v1/{kind}", name, pod["metadata"]["namespace"])
        except NotFound as error:
            if source.get("optional"):
                return {}
            raise VolumeError(f'{field.lower()} "{name}" not found') from error
        data = environment.data_of(kind, found)
        if not source.get("items"):
            return {key: File(value, mode) for key, value in data.items()}
        missing = [item["key"] for item in source["items"] if item["key"] not in data]
        if missing and not source.get("optional"):
            raise VolumeError(f"references non-existent {field.lower()} key: {missing[0]}")
        return {
            item["path"]: File(data[item["key"]], item.get("mode", mode))
            for item in source["items"]
            if item["key"] in data
        }

    def _downward(self, pod: Object, source: Object, *, mode: int) -> dict[str, File]:
        payload = {}
        for item in source.get("items") or []:
            if reference := item.get("fieldRef"):
                text = environment.field(pod, reference["fieldPath"])
            else:
                text = environment.resource_field(pod, item["resourceFieldRef"], node=self.node)
            payload[item["path"]] = File(text.encode(), item.get("mode", mode))
        return payload

    async def _token(self, pod: Object, source: Object) -> str:
        seconds = source.get("expirationSeconds", 3600)
        key = (source.get("audience", ""), seconds)
        known = self.tokens.get(key)
        if known is None or known.renew_at < time.time():
            self.tokens[key] = known = await self._request(pod, source, seconds)
        return known.text

    async def _request(self, pod: Object, source: Object, seconds: int) -> Token:
        metadata = pod["metadata"]
        spec: Object = {
            "expirationSeconds": seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        }
        if source.get("audience"):
            spec["audiences"] = [source["audience"]]
        body: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"].get("serviceAccountName") or "default"
        try:
            answer = await self.client.create(ACCOUNTS, body, metadata["namespace"], name=account, subresource="token")
        except ApiError as error:
            raise VolumeError(f"failed to fetch token: {error.message}") from error
        expires = datetime.fromisoformat(answer["status"]["expirationTimestamp"].replace("Z", "+00:00")).timestamp()
        now = time.time()
        return Token(answer["status"]["token"], now + 0.8 * (expires - now))


def _fs_group(pod: Object) -> int | None:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return int(group) if group is not None and os.getuid() == 0 else None


def _shared(place: Path, group: int | None) -> Path:
    """A folder that any user of a pod may write to."""
    if not place.exists():
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
    if group is not None:
        os.chown(place, -1, group)
        place.chmod(0o2777)
    return place


def _inside(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def sub_path(volume: Path, relative: str) -> Path:
    """A volume's subPath, made if it is missing. Raises VolumeError where a link leads out of the volume."""
    if relative.startswith("/") or ".." in relative.split("/"):
        raise VolumeError(f"subPath {relative!r} leaves its volume")
    target, root = Path(os.path.realpath(volume / relative)), Path(os.path.realpath(volume))
    if not _inside(target, root):
        raise VolumeError(f"subPath {relative!r} leaves its volume")
    if not target.exists():
        target.mkdir(parents=True, mode=0o777)
        target.chmod(0o777)
    return target


def mounts_of(container: Object, volumes: Mapping[str, Path], known: Mapping[str, str]) -> list[tuple[Path, str, bool]]:
    """(host path, path in the container, read only) of a container's volumeMounts."""
    found = []
    for mount in container.get("volumeMounts") or []:
        if mount["name"] not in volumes:
            raise VolumeError(f'volume "{mount["name"]}" is not set up')
        source = volumes[mount["name"]]
        relative = mount.get("subPath") or environment.expand(mount.get("subPathExpr", ""), known)
        if relative:
            source = sub_path(source, relative)
        found.append((source, os.path.normpath("/" + mount["mountPath"].lstrip("/")), bool(mount.get("readOnly"))))
    return found
