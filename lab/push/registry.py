"""The writing half of a registry client (OCI Distribution), with the password that ECR gives an IAM user. Blobs are streamed from their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from lab.aws.clients import Clients, refused
from lab.errors import AwsError
from lab.messages import t
from lab.push.layout import Blob

if TYPE_CHECKING:
    import httpx

_BLOCK = 1 << 20


@contextmanager
def login(clients: Clients, endpoint: str) -> Iterator[Registry]:
    """A client as these clients' IAM user, as `aws ecr get-login-password` gives one; `endpoint` is empty for AWS's own registry."""
    import httpx
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        given = clients("ecr").get_authorization_token()["authorizationData"][0]
    except (BotoCoreError, ClientError) as error:
        raise refused(error) from None
    headers = {"Authorization": f"Basic {given['authorizationToken']}"}
    # Proxies of the shell are not asked for what is on this machine.
    with httpx.Client(
        base_url=endpoint or given["proxyEndpoint"], headers=headers, timeout=300, trust_env=not endpoint
    ) as http:
        yield Registry(http)


@dataclass(frozen=True)
class Registry:
    http: httpx.Client

    def upload(self, repository: str, blob: Blob) -> bool:
        """True where it was sent, False where the repository had it."""
        if self._call("HEAD", f"/v2/{repository}/blobs/{blob.digest}", allow=(404,)).status_code == 200:
            return False
        begun = self._call("POST", f"/v2/{repository}/blobs/uploads/")
        place = urljoin(str(begun.url), begun.headers["Location"])
        joint = "&" if "?" in place else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        self._call("PUT", f"{place}{joint}digest={blob.digest}", headers=headers, content=_stream(blob))
        return True

    def put(self, repository: str, tag: str, manifest: bytes, media_type: str) -> str:
        """Its digest, as the registry counts it."""
        headers = {"Content-Type": media_type}
        return str(
            self._call("PUT", f"/v2/{repository}/manifests/{tag}", headers=headers, content=manifest).headers[
                "Docker-Content-Digest"
            ]
        )

    def _call(self, method: str, url: str, *, allow: tuple[int, ...] = (), **options: Any) -> httpx.Response:
        import httpx

        try:
            answer = self.http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise AwsError(
                t("the registry does not answer: {error}", error=error), t("is the lab up? ./inv up")
            ) from None
        if answer.is_error and answer.status_code not in allow:
            raise AwsError(
                t(
                    "the registry refused {method} {path}: {words}",
                    method=method,
                    path=answer.url.path,
                    words=_words(answer),
                )
            )
        return answer


def _stream(blob: Blob) -> Iterator[bytes]:
    with blob.open() as file:
        while block := file.read(_BLOCK):
            yield block


def _words(answer: httpx.Response) -> str:
    """ "NAME_UNKNOWN: The repository ... does not exist", or the status where the registry has no words."""
    try:
        first = answer.json()["errors"][0]
        return f"{first['code']}: {first['message']}"
    except (ValueError, KeyError, IndexError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}"
