"""ECR lifecycle policies: is the text one, and which images does it expire. Pure.

Rules are met in the order of their priority; an image a rule has matched, kept or expired, is not seen by the rules after it.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from awssim import documents
from awssim.registry.store import Image

_STATUSES = ("tagged", "untagged", "any")
_COUNTS = ("imageCountMoreThan", "sinceImagePushed", "sinceImagePulled")
_DAY = 86400.0


class InvalidPolicy(Exception):
    """The text is not a lifecycle policy; the message says where."""


@dataclass(frozen=True)
class Expired:
    image: Image
    priority: int


def rules(text: str) -> list[dict[str, Any]]:
    """The policy's rules by priority."""
    try:
        value = documents.read(text)
    except ValueError as error:
        raise InvalidPolicy(f"it is not JSON ({error})") from error
    found = value.get("rules") if isinstance(value, dict) else None
    if not isinstance(found, list) or not found:
        raise InvalidPolicy("it has no rules")
    for rule in found:
        _check(rule)
    priorities = [rule["rulePriority"] for rule in found]
    if len(set(priorities)) != len(priorities):
        raise InvalidPolicy("two rules have the same rulePriority")
    last = [rule["rulePriority"] for rule in found if rule["selection"]["tagStatus"] == "any"]
    if last and (len(last) > 1 or last[0] != max(priorities)):
        raise InvalidPolicy("a rule with tagStatus 'any' must be the only one and have the highest rulePriority")
    return sorted(found, key=lambda rule: int(rule["rulePriority"]))


def _check(rule: Any) -> None:
    if not isinstance(rule, dict) or set(rule) - {"rulePriority", "description", "selection", "action"}:
        raise InvalidPolicy("a rule has unknown fields")
    if type(rule.get("rulePriority")) is not int or rule["rulePriority"] < 1:
        raise InvalidPolicy("rulePriority must be a whole number from 1 on")
    if rule.get("action") != {"type": "expire"}:
        raise InvalidPolicy("action must be {'type': 'expire'}")
    selection = rule.get("selection")
    if not isinstance(selection, dict):
        raise InvalidPolicy("a rule has no selection")
    _check_selection(selection)


def _check_selection(selection: dict[str, Any]) -> None:
    known = {"tagStatus", "tagPrefixList", "tagPatternList", "countType", "countUnit", "countNumber"}
    if set(selection) - known:
        raise InvalidPolicy(f"selection has unknown fields: {', '.join(sorted(set(selection) - known))}")
    if selection.get("tagStatus") not in _STATUSES:
        raise InvalidPolicy(f"tagStatus must be one of {', '.join(_STATUSES)}")
    lists = [name for name in ("tagPrefixList", "tagPatternList") if selection.get(name)]
    if selection["tagStatus"] == "tagged" and len(lists) != 1:
        raise InvalidPolicy("tagStatus 'tagged' needs a tagPrefixList or a tagPatternList")
    if selection["tagStatus"] != "tagged" and lists:
        raise InvalidPolicy(f"{lists[0]} is for tagStatus 'tagged' only")
    if selection.get("countType") not in _COUNTS:
        raise InvalidPolicy(f"countType must be one of {', '.join(_COUNTS)}")
    if type(selection.get("countNumber")) is not int or selection["countNumber"] < 1:
        raise InvalidPolicy("countNumber must be a whole number from 1 on")
    by_age = selection["countType"] != "imageCountMoreThan"
    if by_age and selection.get("countUnit") != "days":
        raise InvalidPolicy("countUnit must be 'days'")
    if not by_age and "countUnit" in selection:
        raise InvalidPolicy("countUnit is for ages only")


def expired(text: str, images: Sequence[Image], now: float) -> list[Expired]:
    """The images that the policy expires at ``now`` (seconds since 1970)."""
    left, gone = list(images), []
    for rule in rules(text):
        selection = rule["selection"]
        matched = [image for image in left if _selects(selection, image)]
        chosen = {image.digest for image in matched}
        left = [image for image in left if image.digest not in chosen]
        gone += [Expired(image, rule["rulePriority"]) for image in _too_many(selection, matched, now)]
    return gone


def _selects(selection: dict[str, Any], image: Image) -> bool:
    if selection["tagStatus"] == "untagged":
        return not image.tags
    if selection["tagStatus"] == "any":
        return True
    prefixes, patterns = selection.get("tagPrefixList") or [], selection.get("tagPatternList") or []
    wanted = [f"{prefix}*" for prefix in prefixes] + patterns
    return bool(image.tags) and all(any(fnmatch.fnmatchcase(tag, pattern) for tag in image.tags) for pattern in wanted)


def _too_many(selection: dict[str, Any], images: list[Image], now: float) -> list[Image]:
    number = selection["countNumber"]
    if selection["countType"] == "imageCountMoreThan":
        return sorted(images, key=lambda image: -image.pushed_at)[number:]
    pulls = selection["countType"] == "sinceImagePulled"
    return [
        image for image in images if now - ((image.pulled_at if pulls else None) or image.pushed_at) > number * _DAY
    ]
