"""S3 lifecycle rules: what of a key has expired. Pure; ``overrides.expiry`` carries it out.

As on AWS an age counts from the midnight (UTC) after it is reached. Current objects expire by age or date (in a versioned bucket a delete
marker comes on top), noncurrent versions by the time they stopped being current and by how many newer ones there are, a delete marker
when nothing is left below it, and uploads when they were not completed.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Rule = Mapping[str, Any]
Tags = Mapping[str, str]
_NONE: Rule = {}


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a key, or its delete marker. ``since`` is when it was made."""

    version_id: str | None
    since: dt.datetime
    size: int = 0
    marker: bool = False
    tags: Tags = field(default_factory=dict)


def moment(text: str) -> dt.datetime:
    """A time as S3 writes it."""
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def due(since: dt.datetime, days: int) -> dt.datetime:
    """The midnight on which something of this age is acted on."""
    end = since + dt.timedelta(days=days)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == end else midnight + dt.timedelta(days=1)


def selects(rule: Rule, key: str, version: Version) -> bool:
    """Is the rule on, and does its filter cover this version of this key?"""
    chosen = rule.get("Filter") or _NONE
    chosen = {**chosen, **(chosen.get("And") or _NONE)}
    wanted = [*chosen.get("Tags", []), *([chosen["Tag"]] if "Tag" in chosen else [])]
    return (
        rule.get("Status") == "Enabled"
        and key.startswith(chosen.get("Prefix") or "")
        and all(version.tags.get(tag["Key"]) == tag["Value"] for tag in wanted)
        and version.size > chosen.get("ObjectSizeGreaterThan", -1)
        and version.size < chosen.get("ObjectSizeLessThan", version.size + 1)
    )


def has_expired(rules: Sequence[Rule], key: str, current: Version, now: dt.datetime) -> bool:
    """Has the current object of a key come to its end?"""
    for rule in rules:
        end = rule.get("Expiration") or _NONE
        if selects(rule, key, current):
            if "Days" in end and due(current.since, end["Days"]) <= now:
                return True
            if "Date" in end and moment(end["Date"]).replace(tzinfo=dt.UTC) <= now:
                return True
    return False


def is_left_over(rules: Sequence[Rule], key: str, versions: Sequence[Version], now: dt.datetime) -> bool:
    """Is a delete marker all that is left of the key, and does a rule remove such markers?"""
    if len(versions) != 1 or not versions[0].marker:
        return False
    ends = [rule.get("Expiration") or _NONE for rule in rules if selects(rule, key, versions[0])]
    return any(
        end.get("ExpiredObjectDeleteMarker") or ("Days" in end and due(versions[0].since, end["Days"]) <= now)
        for end in ends
    )


def noncurrent(rules: Sequence[Rule], key: str, versions: Sequence[Version], now: dt.datetime) -> list[Version]:
    """The versions, given from the oldest to the current one, that have been noncurrent for too long."""
    gone = []
    for index, version in enumerate(versions[:-1]):
        replaced, newer = versions[index + 1].since, len(versions) - 2 - index
        for rule in rules:
            end = rule.get("NoncurrentVersionExpiration") or _NONE
            if "NoncurrentDays" not in end or not selects(rule, key, version):
                continue
            if due(replaced, end["NoncurrentDays"]) <= now and newer >= end.get("NewerNoncurrentVersions", 0):
                gone.append(version)
                break
    return gone


def abandoned(rules: Sequence[Rule], key: str, begun: dt.datetime, now: dt.datetime) -> bool:
    """Has an upload been left incomplete for too long?"""
    upload = Version(version_id=None, since=begun)
    days = [
        rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        for rule in rules
        if "AbortIncompleteMultipartUpload" in rule and selects(rule, key, upload)
    ]
    return any(due(begun, number) <= now for number in days)
