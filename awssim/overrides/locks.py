"""Retention and legal holds of object versions are kept in the key's sidecar: ministack has them in memory only, and a restart unlocks."""

from typing import Any

from awssim.overrides.replace import replace

_STORES = {"retention": "_object_retention", "legal_hold": "_object_legal_hold"}


def apply() -> None:
    from ministack.services import s3

    def make_history(original: Any) -> Any:
        return lambda bucket, key: {**original(bucket, key), **locks(s3, bucket, key)}

    def make_put(original: Any) -> Any:
        def put(bucket: str, key: str, *arguments: Any) -> Any:
            answer = original(bucket, key, *arguments)
            if answer[0] == 200:
                s3._persist_version_state(bucket, key, s3._buckets[bucket])
            return answer

        return put

    replace(s3, "_key_history_meta", make_history)
    replace(s3, "_put_object_retention", make_put)
    replace(s3, "_put_object_legal_hold", make_put)


def locks(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    """What holds each version of a key, by version; nothing where nothing does."""
    versions = [None, *(version["version_id"] for version in s3._object_versions.get((bucket, key)) or [])]
    found = {}
    for name, store in _STORES.items():
        held = {version or "": getattr(s3, store).get((bucket, key, version)) for version in versions}
        if held := {version: value for version, value in held.items() if value is not None}:
            found[name] = held
    return found


def restore(s3: Any, account: str, where: tuple[str, str], meta: dict[str, Any]) -> None:
    """Put back what a sidecar says of ``where``, a bucket and a key."""
    for name, store in _STORES.items():
        for version, value in (meta.get(name) or {}).items():
            getattr(s3, store)._data[(account, (*where, version or None))] = value
