"""AWS calls in boto3's words at a third of the price, for whoever asks much as many users: the checks, seventeen calls for each tenant.

A boto3 client costs 13 ms of processor time to make, for every user and every service, and 2.6 ms a call: rules of endpoints, event hooks, a
user agent composed anew. Here botocore's own parts do what only they know, in the same order: the published model of an operation, its
serializer, Signature Version 4, its parser; the answers and the errors are boto3's. All users' calls go over one pool of connections.

What is left out is what an endpoint that is known does not need, and AWS itself does: finding it, redirects to a bucket's region, waits between
attempts; and boto3's corrections of single operations but for one, so what is asked for here must be among the tests of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import urllib3

from lab.aws.base import Keys

CONNECTIONS = 24
_AGAIN = urllib3.Retry(1, redirect=0, status=0, allowed_methods=None)
"""A kept connection may be closed by the other side in the moment that it is used."""
_SECONDS = urllib3.Timeout(connect=5, read=60)


class Service:
    """One service as one user: `service.head_bucket(Bucket=...)`, `service.get_paginator(...)`. May be shared between threads."""

    def __init__(self, service: str, keys: Keys, *, region: str, endpoint: str) -> None:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.credentials import Credentials

        self._protocol = _protocol(service)
        self._endpoint = endpoint.rstrip("/")
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        credentials = Credentials(keys.access_key_id, keys.secret, keys.token or None)
        self._signer = signer(credentials, service, region)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._protocol.operations:
            raise AttributeError(name)
        return partial(self._call, self._protocol.operations[name])

    def get_paginator(self, name: str) -> Any:
        from botocore.paginate import Paginator

        operation = self._protocol.operations[name]
        rules = self._protocol.pages[operation]
        return Paginator(getattr(self, name), rules, self._protocol.model.operation_model(operation))

    def _call(self, operation: str, **parameters: Any) -> Any:
        """The answer as boto3 gives it. Raises ClientError for a refusal, BotoCoreError where nothing answers."""
        from botocore.exceptions import ClientError

        model: Any = self._protocol.model.operation_model(operation)
        context: dict[str, Any] = {}
        if operation == "ListObjectsV2":
            _handlers().set_list_objects_encoding_type_url(parameters, context)
        answer = self._send(self._protocol.serializer.serialize_to_request(parameters, model))
        seen = {"status_code": answer.status, "headers": answer.headers, "body": answer.data}
        parsed = self._protocol.parser.parse(seen, model.output_shape)
        if answer.status >= 300:
            raise ClientError(parsed, operation)
        if operation == "ListObjectsV2":
            _handlers().decode_list_object_v2(parsed, context)
        return parsed

    def _send(self, call: dict[str, Any]) -> Any:
        from botocore.awsrequest import create_request_object, prepare_request_dict
        from botocore.exceptions import EndpointConnectionError

        prepare_request_dict(call, self._endpoint)
        request = create_request_object(call)
        self._signer.add_auth(request)
        signed: Any = request.prepare()
        path, headers = signed.url.removeprefix(self._endpoint), dict(signed.headers.items())
        try:
            return _pool(self._endpoint).urlopen(
                signed.method, path, signed.body, headers, retries=_AGAIN, redirect=False, timeout=_SECONDS
            )
        except urllib3.exceptions.HTTPError as error:
            raise EndpointConnectionError(endpoint_url=self._endpoint, error=error) from None


class _Protocol:
    """What AWS publishes of a service, read once for all users."""

    def __init__(self, service: str) -> None:
        from botocore import parsers, serialize, xform_name
        from botocore.loaders import Loader
        from botocore.model import ServiceModel

        loader = Loader()
        self.model = ServiceModel(loader.load_service_model(service, "service-2"), service)
        self.pages = loader.load_service_model(service, "paginators-1")["pagination"]
        self.operations = {xform_name(name): name for name in self.model.operation_names}
        self.serializer = serialize.create_serializer(self.model.resolved_protocol)
        self.parser = parsers.create_parser(self.model.resolved_protocol)


@lru_cache
def _protocol(service: str) -> _Protocol:
    return _Protocol(service)


@lru_cache
def _pool(endpoint: str) -> urllib3.HTTPConnectionPool:
    return urllib3.connection_from_url(endpoint, maxsize=CONNECTIONS)


def _handlers() -> Any:
    """boto3's own: keys come encoded, for XML cannot hold all that a key may."""
    from botocore import handlers

    return handlers
