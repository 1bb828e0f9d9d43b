"""boto3 clients through `localstack_client`, so that one code path talks to the stand-in, to LocalStack and to AWS.

Keys, region and endpoint are passed in, never taken from the user's shell: an AWS_ENDPOINT_URL there would override what is passed.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import Any

from lab.aws.base import Keys, Provider
from lab.errors import AwsError
from lab.messages import t

_making = threading.Lock()


class Clients:
    """Clients of one identity, made once per service; boto3 clients may be shared between threads, their making may not."""

    def __init__(self, provider: Provider, keys: Keys, region: str) -> None:
        self.provider = provider
        self.keys = keys
        self.region = region
        self._made: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        with _making:
            if service not in self._made:
                self._made[service] = self._make(service)
            return self._made[service]

    def direct(self) -> Clients:
        """The same identity for many calls, which then cost a third; these clients themselves where AWS's own endpoints must be found."""
        return Direct(self.provider, self.keys, self.region) if self.provider.endpoint() else self

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"max_attempts": 2, "mode": "standard"},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=24,
            ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs do not know it
        )
        session = _session(self.keys, self.region, self.provider.endpoint(service).removeprefix("http://"))
        return session.client(service, config=config)


class Direct(Clients):
    """`lab.aws.direct` instead of boto3."""

    def _make(self, service: str) -> Any:
        from lab.aws.direct import Service

        return Service(service, self.keys, region=self.region, endpoint=self.provider.endpoint(service))


class NoKeys(Clients):
    """Clients of somebody who has no keys: every call says so, as the AWS tools do, and the shell's own keys are never taken instead."""

    def __init__(self, provider: Provider, user: str, region: str) -> None:
        super().__init__(provider, Keys("", ""), region)
        self.user = user

    def direct(self) -> Clients:
        return self

    def __call__(self, service: str) -> Any:
        number = self.user.removeprefix("user")
        raise AwsError(
            t("Unable to locate credentials of {user} (users/{user}/aws.ini)", user=self.user),
            f"aws configure; aws sts get-caller-identity; new keys: ./inv up --tenants {number}",
        )


@lru_cache(maxsize=64)
def _session(keys: Keys, region: str, host: str) -> Any:
    """AWS itself where there is no host, else localstack_client's session, which wants AWS_ENDPOINT_URL out of its way."""
    import boto3

    if not host:
        return boto3.session.Session(keys.access_key_id, keys.secret, keys.token or None, region)
    os.environ.pop("AWS_ENDPOINT_URL", None)
    from localstack_client.session import Session

    return Session(
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret,
        region_name=region,
        localstack_host=host,
    )


def refused(error: Exception) -> AwsError:
    """A botocore ClientError, or a connection that failed, as one line."""
    response = getattr(error, "response", None)
    if response:
        found = response.get("Error", {})
        return AwsError(
            t(
                "AWS refused {operation}: {code}: {message}",
                operation=getattr(error, "operation_name", ""),
                code=found.get("Code"),
                message=found.get("Message"),
            )
        )
    where = str(getattr(error, "kwargs", {}).get("endpoint_url") or "")
    if not where.startswith("http://127.0.0.1:"):
        return AwsError(
            t("AWS cannot be asked: {reason}", reason=error), t("./inv doctor shows proxies and certificates")
        )
    return AwsError(
        t("the AWS stand-in does not answer: {error}", error=type(error).__name__), t("is the lab up? ./inv up")
    )
