"""What /v2 and ECR's API have in common: does a repository exist, who may do what, and pushing a manifest by ECR's rules."""

import asyncio
import json
import logging
import time
from typing import Any

from awssim.errors import Refused
from awssim.registry import lifecycle, mutability, names, scan
from awssim.registry.errors import Denied, EcrError
from awssim.registry.manifests import LARGEST, InvalidManifest, parse
from awssim.registry.store import Image, Store
from awssim.registry.tokens import Tokens
from awssim.settings import Settings

log = logging.getLogger("awssim.registry")


class Registry:
    """The registry of one account, with a repository per region and name."""

    def __init__(self, settings: Settings, ecr: Any) -> None:
        self.settings = settings
        self.store = Store(settings.registry)
        self.tokens = Tokens(settings.registry)
        self._ecr = ecr
        self.previews: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def key(self, name: str, region: str = "") -> str:
        return f"{region or self.settings.region}/{name}"

    def repository(self, name: str, region: str = "") -> dict[str, Any]:
        """ECR's record of a repository."""
        found = self._ecr._repositories.get_scoped(self.settings.account, region or self.settings.region, name)
        if found is None:
            raise EcrError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id '{self.settings.account}'",
            )
        return dict(found)

    def names(self, region: str = "") -> list[str]:
        here = (self.settings.account, region or self.settings.region)
        return sorted(name for account, place, name in self._ecr._repositories._data if (account, place) == here)

    def arn(self, name: str, region: str = "") -> str:
        return f"arn:aws:ecr:{region or self.settings.region}:{self.settings.account}:repository/{name}"

    def asked_from(self, address: str, *, secure: bool) -> None:
        """Where the request under way comes from, and how: conditions may ask for it."""
        from ministack.core import iam_evaluator

        iam_evaluator.pin_request_origin(address, secure)

    def authorize(self, access_key_id: str, action: str, name: str) -> None:
        """Ask IAM whether a key's owner may do ``action`` on a repository; raises Denied with the reason, Refused for a dead key."""
        from ministack.core import iam_evaluator, responses

        from awssim.overrides.denials import message

        iam_evaluator._anonymous.set(False)
        iam_evaluator._signed_request.set(None)
        with responses.request_scope(self.settings.account, self.settings.region):
            denied = iam_evaluator.enforce(
                access_key_id, action, "ecr", self.settings.region, resource_arn=self.arn(name)
            )
        if isinstance(denied, iam_evaluator.AuthError):
            raise Refused(denied.code, denied.message)
        if denied:
            raise Denied(
                message(
                    "ecr", action, denied.principal_arn, self.arn(name), explicit_deny=denied.decision == "Deny",
                    by_resource=bool(denied.resource_policy_arn),
                )
            )  # fmt: skip

    def push(
        self, name: str, content: bytes, media_type: str, *, tag: str = "", digest: str = "", region: str = ""
    ) -> Image:
        """Store a manifest whose content is all there, and tag it where the repository's mutability lets it."""
        repository, key = self.repository(name, region), self.key(name, region)
        if len(content) > LARGEST:
            raise EcrError("InvalidParameterException", f"The manifest is larger than {LARGEST} bytes")
        actual = names.digest_of(content)
        if digest and digest != actual:
            raise EcrError(
                "ImageDigestDoesNotMatchException", f"The digest {digest} is not that of the manifest, {actual}"
            )
        try:
            manifest = parse(content, media_type)
        except InvalidManifest as error:
            raise EcrError("InvalidParameterException", f"Invalid parameter at 'imageManifest': {error}") from error
        self._check_content(key, manifest.blobs, manifest.children)
        if tag:
            self._check_tag(repository, key, tag, actual)
        self.store.put_manifest(key, actual, content, manifest, tag)
        image = self.store.image(key, actual)
        assert image
        self._after_push(repository, region, image)
        return image

    def _check_content(self, key: str, blobs: dict[str, int], children: tuple[str, ...]) -> None:
        missing = [digest for digest, size in blobs.items() if self.store.size(key, digest) != size]
        if missing:
            raise EcrError(
                "LayersNotFoundException",
                f"Layers with digests '[{', '.join(missing)}]' required for pushing image do not exist",
            )
        absent = [digest for digest in children if self.store.image(key, digest) is None]
        if absent:
            raise EcrError(
                "ReferencedImagesNotFoundException",
                f"Images with digests '[{', '.join(absent)}]' required for pushing image do not exist",
            )

    def _check_tag(self, repository: dict[str, Any], key: str, tag: str, digest: str) -> None:
        held = self.store.tagged(key, tag)
        if held and held != digest and not mutability.is_movable(repository, tag):
            raise EcrError(
                "ImageTagAlreadyExistsException",
                f"The image tag '{tag}' already exists in the '{repository['repositoryName']}' repository and cannot be overwritten "
                "because the tag is immutable.",
            )

    def _after_push(self, repository: dict[str, Any], region: str, image: Image) -> None:
        if (repository.get("imageScanningConfiguration") or {}).get("scanOnPush"):
            self.scan(image)
        self._later(self.apply_lifecycle(repository["repositoryName"], region))

    def scan(self, image: Image) -> None:
        """Start a scan; until it ends its status is IN_PROGRESS."""
        self.store.set_report(image.repository, image.digest, json.dumps(scan.in_progress(time.time())))

        async def run() -> None:
            report = await asyncio.to_thread(scan.report, image, self.store)
            if self.store.image(image.repository, image.digest):
                self.store.set_report(image.repository, image.digest, json.dumps(report))

        self._later(run())

    def lifecycle_text(self, name: str, region: str = "") -> str:
        found = self._ecr._lifecycle_policies.get_scoped(self.settings.account, region or self.settings.region, name)
        return str(found.get("lifecyclePolicyText", "") if isinstance(found, dict) else found or "")

    async def apply_lifecycle(self, name: str, region: str = "") -> None:
        """Delete what the repository's lifecycle policy says is expired."""
        text = self.lifecycle_text(name, region)
        if not text:
            return
        key = self.key(name, region)
        for expired in lifecycle.expired(text, self.store.images(key), time.time()):
            if not self.store.parents(key, expired.image.digest):
                self.store.delete_images(key, [expired.image.digest])
                log.info(
                    "%s@%s expired by rule %s of its lifecycle policy", name, expired.image.digest, expired.priority
                )

    async def maintain(self) -> None:
        """Apply every lifecycle policy, finish interrupted scans, and sweep what nothing needs."""
        for account, region, name in list(self._ecr._lifecycle_policies._data):
            if account == self.settings.account:
                await self.apply_lifecycle(name, region)
        for image in self.store._images("1 = 1", ()):
            if json.loads(self.store.report(image.repository, image.digest) or "{}").get("status") == "IN_PROGRESS":
                self.scan(image)
        self.store.sweep()

    def _later(self, work: Any) -> None:
        """Run ``work`` after the answer; its failure is logged, not lost."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("work after a push failed", exc_info=task.exception())
