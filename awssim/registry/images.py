"""ECR's API about images: what was pushed, told as it is. Each operation takes and returns the API's JSON.

ministack keeps repositories and their settings; images, scans, tokens and lifecycle belong to the registry on disk.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from awssim.registry import lifecycle, names, scan
from awssim.registry.errors import EcrError
from awssim.registry.registry import Registry
from awssim.registry.store import Image

Call = dict[str, Any]
Answer = dict[str, Any]


class Images:
    """The operations, as a table of their names."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._store = registry.store
        self.operations: dict[str, Callable[[Call, str], Answer]] = {
            "ListImages": self.list_images, "DescribeImages": self.describe, "BatchGetImage": self.batch_get,
            "BatchDeleteImage": self.batch_delete, "PutImage": self.put, "StartImageScan": self.start_scan,
            "DescribeImageScanFindings": self.findings, "BatchCheckLayerAvailability": self.availability,
            "ListImageReferrers": self.referrers, "StartLifecyclePolicyPreview": self.start_preview, "GetLifecyclePolicyPreview": self.preview,
        }  # fmt: skip

    def _key(self, call: Call, region: str) -> str:
        name = str(call.get("repositoryName", ""))
        self._registry.repository(name, region)
        return self._registry.key(name, region)

    def list_images(self, call: Call, region: str) -> Answer:
        status = (call.get("filter") or {}).get("tagStatus", "ANY")
        identifiers = []
        for image in self._store.images(self._key(call, region)):
            if image.tags and status != "UNTAGGED":
                identifiers += [{"imageDigest": image.digest, "imageTag": tag} for tag in image.tags]
            elif not image.tags and status != "TAGGED":
                identifiers.append({"imageDigest": image.digest})
        return page(call, "imageIds", identifiers, 100)

    def describe(self, call: Call, region: str) -> Answer:
        key = self._key(call, region)
        images = self._store.images(key)
        if call.get("imageIds"):
            images = [self._named(call, key, identifier) for identifier in call["imageIds"]]
        status = (call.get("filter") or {}).get("tagStatus", "ANY")
        chosen = [image for image in images if status == "ANY" or bool(image.tags) == (status == "TAGGED")]
        return page(call, "imageDetails", [self._detail(call, image) for image in chosen], 100)

    def _named(self, call: Call, key: str, identifier: dict[str, str]) -> Image:
        image = self._find(key, identifier)
        if image is None:
            said = ", ".join(f"{name}:'{identifier.get(name, 'null')}'" for name in ("imageDigest", "imageTag"))
            raise EcrError(
                "ImageNotFoundException",
                f"The image with imageId {{{said}}} does not exist within the repository with name "
                f"'{call['repositoryName']}' in the registry with id '{self._registry.settings.account}'",
            )
        return image

    def _find(self, key: str, identifier: dict[str, str]) -> Image | None:
        digest, tag = identifier.get("imageDigest"), identifier.get("imageTag")
        if not digest and not tag:
            raise EcrError(
                "InvalidParameterException", "Invalid parameter at 'imageIds': an imageDigest or an imageTag is needed"
            )
        image = self._store.image(key, digest or tag or "")
        if image and digest and tag and tag not in image.tags:
            return None
        return image

    def _detail(self, call: Call, image: Image) -> Answer:
        report = json.loads(self._store.report(image.repository, image.digest) or "{}")
        detail: Answer = {
            "registryId": self._registry.settings.account, "repositoryName": call["repositoryName"], "imageDigest": image.digest,
            "imageSizeInBytes": image.size, "imagePushedAt": image.pushed_at, "imageManifestMediaType": image.media_type,
        }  # fmt: skip
        if image.tags:
            detail["imageTags"] = list(image.tags)
        if image.artifact_type:
            detail["artifactMediaType"] = image.artifact_type
        if image.pulled_at:
            detail["lastRecordedPullTime"] = image.pulled_at
        if report:
            detail["imageScanStatus"] = {"status": report["status"], "description": report["description"]}
        if report.get("status") == "COMPLETE":
            detail["imageScanFindingsSummary"] = _summary(report)
        return detail

    def batch_get(self, call: Call, region: str) -> Answer:
        key, accepted = self._key(call, region), call.get("acceptedMediaTypes") or []
        images, failures = [], []
        for identifier in call.get("imageIds") or []:
            image = self._find(key, identifier)
            if image is None or (accepted and image.media_type not in accepted):
                failures.append(_not_found(identifier))
                continue
            self._store.pulled(key, image.digest)
            images.append(self._image(call, image, identifier.get("imageTag")))
        return {"images": images, "failures": failures}

    def _image(self, call: Call, image: Image, tag: str | None) -> Answer:
        return {
            "registryId": self._registry.settings.account, "repositoryName": call["repositoryName"],
            "imageId": {"imageDigest": image.digest, **({"imageTag": tag} if tag else {})},
            "imageManifest": image.content.decode(), "imageManifestMediaType": image.media_type,
        }  # fmt: skip

    def batch_delete(self, call: Call, region: str) -> Answer:
        """By tag only the tag goes, and the image with its last one; by digest the image goes with all its tags."""
        key = self._key(call, region)
        deleted: list[dict[str, str]] = []
        failures = []
        for identifier in call.get("imageIds") or []:
            image = self._find(key, identifier)
            if image is None:
                failures.append(_not_found(identifier))
                continue
            tag = None if identifier.get("imageDigest") else identifier.get("imageTag")
            if tag and len(image.tags) > 1:
                self._store.untag(key, tag)
                deleted.append({"imageDigest": image.digest, "imageTag": tag})
            elif self._store.parents(key, image.digest):
                failures.append(_referenced(identifier, image))
            else:
                self._store.delete_images(key, [image.digest])
                deleted += [{"imageDigest": image.digest, "imageTag": name} for name in image.tags] or [
                    {"imageDigest": image.digest}
                ]
        return {"imageIds": deleted, "failures": failures}

    def put(self, call: Call, region: str) -> Answer:
        name, tag = str(call.get("repositoryName", "")), str(call.get("imageTag") or "")
        content = str(call.get("imageManifest", "")).encode()
        key = self._key(call, region)
        if tag and not names.is_tag(tag):
            raise EcrError("InvalidParameterException", f"Invalid parameter at 'imageTag': '{tag}' is not a tag")
        digest = names.digest_of(content)
        known = self._store.image(key, digest)
        if known and (not tag or tag in known.tags):
            raise EcrError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}' and tag '{tag or None}' already exists in the repository with name '{name}' "
                f"in registry with id '{self._registry.settings.account}'",
            )
        media_type = str(call.get("imageManifestMediaType") or "")
        image = self._registry.push(
            name, content, media_type, tag=tag, digest=str(call.get("imageDigest") or ""), region=region
        )
        return {"image": self._image(call, image, tag or None)}

    def availability(self, call: Call, region: str) -> Answer:
        key = self._key(call, region)
        layers, failures = [], []
        for digest in call.get("layerDigests") or []:
            size = self._store.size(key, digest)
            if names.is_digest(digest):
                state = "UNAVAILABLE" if size is None else "AVAILABLE"
                layers.append(
                    {
                        "layerDigest": digest,
                        "layerAvailability": state,
                        **({"layerSize": size} if size is not None else {}),
                    }
                )
            else:
                failures.append(
                    {
                        "layerDigest": digest,
                        "failureCode": "InvalidLayerDigest",
                        "failureReason": "Invalid layer digest",
                    }
                )
        return {"layers": layers, "failures": failures}

    def referrers(self, call: Call, region: str) -> Answer:
        """The artifacts that name an image as their subject, as ``/v2/NAME/referrers`` has them."""
        key, subject = self._key(call, region), str((call.get("subjectId") or {}).get("imageDigest", ""))
        wanted = (call.get("filter") or {}).get("artifactTypes") or []
        found = [
            {**image.descriptor(), "artifactStatus": "ACTIVE"}
            for image in self._store.referrers(key, subject)
            if not wanted or image.artifact_type in wanted
        ]
        return page(call, "referrers", found, 50)

    # -- scans

    def start_scan(self, call: Call, region: str) -> Answer:
        image = self._named(call, self._key(call, region), call.get("imageId") or {})
        self._registry.scan(image)
        return {**self._about(call, image), "imageScanStatus": {"status": "IN_PROGRESS"}}

    def findings(self, call: Call, region: str) -> Answer:
        image = self._named(call, self._key(call, region), call.get("imageId") or {})
        report = json.loads(self._store.report(image.repository, image.digest) or "{}")
        if not report:
            raise EcrError(
                "ScanNotFoundException",
                f"Image scan does not exist for the image with '{{imageDigest:'{image.digest}'}}' "
                f"in the repository with name '{call['repositoryName']}' in the registry with id '{self._registry.settings.account}'",
            )
        answer = {
            **self._about(call, image),
            "imageScanStatus": {"status": report["status"], "description": report["description"]},
        }
        if report["status"] == "COMPLETE":
            listed = page(call, "findings", report["findings"], 1000)
            token = {"nextToken": listed.pop("nextToken")} if "nextToken" in listed else {}
            answer |= {"imageScanFindings": {**_summary(report), **listed}, **token}
        return answer

    def _about(self, call: Call, image: Image) -> Answer:
        identifier = {"imageDigest": image.digest}
        if (call.get("imageId") or {}).get("imageTag"):
            identifier["imageTag"] = call["imageId"]["imageTag"]
        return {
            "registryId": self._registry.settings.account,
            "repositoryName": call["repositoryName"],
            "imageId": identifier,
        }

    # -- lifecycle

    def start_preview(self, call: Call, region: str) -> Answer:
        return {**self._policy(call, region), "status": "IN_PROGRESS"}

    def _policy(self, call: Call, region: str) -> Answer:
        self._key(call, region)
        name = call["repositoryName"]
        text = call.get("lifecyclePolicyText") or self._registry.lifecycle_text(name, region)
        if not text:
            raise EcrError(
                "LifecyclePolicyNotFoundException",
                f"Lifecycle policy does not exist for the repository with name '{name}' in the registry with id "
                f"'{self._registry.settings.account}'",
            )
        check_lifecycle(text)
        self._registry.previews[self._registry.key(name, region)] = text
        return {"registryId": self._registry.settings.account, "repositoryName": name, "lifecyclePolicyText": text}

    def preview(self, call: Call, region: str) -> Answer:
        key = self._key(call, region)
        text = self._registry.previews.get(key)
        if text is None:
            raise EcrError("LifecyclePolicyPreviewNotFoundException", "There is no dry run for this repository.")
        expired = lifecycle.expired(text, self._store.images(key), time.time())
        results = [
            {
                "imageTags": list(item.image.tags), "imageDigest": item.image.digest, "imagePushedAt": item.image.pushed_at,
                "action": {"type": "EXPIRE"}, "appliedRulePriority": item.priority,
            }
            for item in expired
        ]  # fmt: skip
        answer = page(call, "previewResults", results, 100)
        about = {
            "registryId": self._registry.settings.account,
            "repositoryName": call["repositoryName"],
            "lifecyclePolicyText": text,
        }
        return {**about, "status": "COMPLETE", **answer, "summary": {"expiringImageTotalCount": len(expired)}}


def check_lifecycle(text: str) -> None:
    try:
        lifecycle.rules(text)
    except lifecycle.InvalidPolicy as error:
        message = f"Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: {error}'"
        raise EcrError("InvalidParameterException", message) from error


def page(call: Call, name: str, items: list[Any], default: int) -> Answer:
    """A page of ``items`` and the token of the next one."""
    limit = int(call.get("maxResults") or default)
    try:
        start = int(base64.b64decode(call["nextToken"])) if call.get("nextToken") else 0
    except ValueError:
        raise EcrError("InvalidParameterException", "Invalid parameter at 'nextToken'") from None
    answer: Answer = {name: items[start : start + limit]}
    if start + limit < len(items):
        answer["nextToken"] = base64.b64encode(str(start + limit).encode()).decode()
    return answer


def _summary(report: Answer) -> Answer:
    return {
        "imageScanCompletedAt": report["at"], "vulnerabilitySourceUpdatedAt": report["at"],
        "findingSeverityCounts": scan.counts(report["findings"]),
    }  # fmt: skip


def _not_found(identifier: dict[str, str]) -> Answer:
    return {"imageId": identifier, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}


def _referenced(identifier: dict[str, str], image: Image) -> Answer:
    reason = f"Requested image referenced by manifest list: [{image.digest}]"
    return {"imageId": identifier, "failureCode": "ImageReferencedByManifestList", "failureReason": reason}
