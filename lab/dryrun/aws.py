"""AWS clients that read and do not write: botocore asks its `before-call` handlers for an answer before it sends anything.

An answer is made from the operation's own model: what was asked with, under the names it came with, and "new" for what AWS would choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.aws import clients
from lab.aws.base import Keys, Provider
from lab.dryrun import guard
from lab.dryrun.record import Record
from lab.messages import t

_READS = ("Get", "List", "Describe", "Head", "BatchGet", "BatchCheck", "Select")
_NAMES = ("Bucket", "Key", "UserName", "PolicyName", "AccessKeyId", "VersionId", "CopySource")
_LOWER = ("repositoryName", "clusterName", "principalArn", "imageTag", "username")
_NEW = "new"
_ASKED = "lab.asked"


class Clients(clients.Clients):
    def __init__(self, provider: Provider, keys: Keys, region: str, *, record: Record) -> None:
        super().__init__(provider, keys, region)
        self.record = record
        self._made_names: set[str] = set()

    def direct(self) -> clients.Clients:
        return self

    def _make(self, service: str) -> Any:
        client = super()._make(service)
        client.meta.events.register_first("provide-client-params", _remember)
        client.meta.events.register_first("before-call", self._answer)
        return client

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[Any, Any] | None:
        """None sends it."""
        asked, name = context.get(_ASKED, {}), str(model.name)
        if name.startswith(_READS):
            unknown = self.record.new_aws or self._made_names & {str(value) for value in asked.values()}
            return _nothing(model) if unknown else None
        service = str(model.service_model.service_name)
        self.record.note(service, f"{name} {_words(asked)}".rstrip())
        if name.startswith("Create"):
            self._made_names |= {str(asked[key]) for key in (*_NAMES, *_LOWER) if key in asked}
        return _http(200), {**_filled(model.output_shape, asked), "ResponseMetadata": {"HTTPStatusCode": 200}}


def _remember(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
    context[_ASKED] = dict(params)


def _words(asked: Mapping[str, Any]) -> str:
    """What it is done to; never what is put there."""
    return " ".join(f"{key}={_name(asked[key])}" for key in (*_NAMES, *_LOWER) if key in asked)


def _name(value: Any) -> str:
    return "/".join(value.values()) if isinstance(value, dict) else str(value)


def _nothing(model: Any) -> tuple[Any, Any]:
    """What AWS answers of things that are not there: an empty list, or that there is none."""
    shape = model.output_shape
    if shape is not None and any(member.type_name == "list" for member in shape.members.values()):
        return _http(200), {**_filled(shape, {}), "ResponseMetadata": {"HTTPStatusCode": 200}}
    message = t("{name}: it is not there yet", name=model.name)
    return _http(404), {"Error": {"Code": "404", "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 404}}


def _filled(shape: Any, asked: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """An answer of that shape: what was asked with, empty lists, and names where AWS would have made some."""
    if shape is None or depth > 2:
        return {}
    answer: dict[str, Any] = {}
    for name, member in shape.members.items():
        if member.type_name == "structure":
            answer[name] = _filled(member, asked, depth + 1)
        elif member.type_name == "list":
            answer[name] = []
        elif member.type_name == "string":
            answer[name] = asked[name] if isinstance(asked.get(name), str) else _NEW
    return {key: value for key, value in answer.items() if not key.lower().endswith(("token", "marker"))}


def _http(code: int) -> Any:
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders

    return AWSResponse("", code, HTTPHeaders(), None)


def keys_of(provider: Provider, record: Record) -> Keys:
    """The administrator's; of a stand-in that has never run, some."""
    with guard.looking():
        return Keys(_NEW, _NEW) if record.new_aws else provider.root()
