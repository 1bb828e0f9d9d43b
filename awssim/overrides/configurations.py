"""A bucket's settings that AWS refuses: ministack keeps a lifecycle configuration it cannot read as it came, rules that contradict
themselves, and a key given twice among tags.
"""

import functools
from typing import Any

from awssim.overrides.expiry import with_prefixes
from awssim.overrides.policies import checked
from awssim.overrides.replace import replace

_RULE_ACTIONS = {
    "Expiration", "Transition", "NoncurrentVersionExpiration", "NoncurrentVersionTransition", "AbortIncompleteMultipartUpload",
}  # fmt: skip
_NUMBERS = {
    "Days",
    "NoncurrentDays",
    "DaysAfterInitiation",
    "NewerNoncurrentVersions",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
}
_LONGEST_ID = 255
_INFREQUENT = ("STANDARD_IA", "ONEZONE_IA")
_INFREQUENT_AFTER = 30
_RESERVED = (("xn--", "sthree-", "amzn-s3-demo-"), ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"))


def apply() -> None:
    from ministack.services import s3

    replace(s3, "fromstring", functools.partial(_without_entities, s3))
    replace(s3, "_put_bucket_lifecycle", lambda original: checked(s3, with_prefixes(s3, original), lifecycle_error))
    replace(s3, "_put_bucket_cors", functools.partial(_checked_root, s3, "CORSConfiguration"))
    replace(s3, "_put_public_access_block", functools.partial(_checked_root, s3, "PublicAccessBlockConfiguration"))
    replace(s3, "_put_bucket_tagging", lambda original: checked(s3, original, tagging_error))
    replace(s3, "_validate_bucket_name", lambda original: lambda name: original(name) and not is_reserved(name))


def _without_entities(s3: Any, original: Any) -> Any:
    """XML that defines entities is refused by the parser, as it should be, with an error nobody expects: here it is not well-formed."""

    def fromstring(text: Any) -> Any:
        try:
            return original(text)
        except ValueError as error:  # defusedxml's, of every kind
            raise s3.ParseError(f"{type(error).__name__}: not allowed here") from None

    return fromstring


def is_reserved(name: str) -> bool:
    """Is this a bucket's name that AWS keeps for itself?"""
    return name.startswith(_RESERVED[0]) or name.endswith(_RESERVED[1])


def _checked_root(s3: Any, root: str, original: Any) -> Any:
    return checked(s3, original, lambda s3, _, body: _xml_error(s3, body, root))


def tagging_error(s3: Any, bucket: str, body: bytes) -> Any:
    """AWS's refusal of a set of tags, or None."""
    error = _xml_error(s3, body, "Tagging")
    if error is not None:
        return error
    keys = [element.text for element in _root(s3, body).iter() if _tag(element) == "Key"]
    if len(set(keys)) != len(keys):
        return s3._error("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    return None


def _xml_error(s3: Any, body: bytes, root: str) -> Any:
    found = _root(s3, body)
    if found is None or found.tag.rpartition("}")[2] != root:
        return s3._error("MalformedXML", s3._MALFORMED_XML, 400)
    return None


def _root(s3: Any, body: bytes) -> Any:
    try:
        return s3.fromstring(body)
    except s3.ParseError:
        return None


def lifecycle_error(s3: Any, bucket: str, body: bytes) -> Any:
    """AWS's refusal of a bucket's lifecycle configuration, or None."""
    error = _xml_error(s3, body, "LifecycleConfiguration")
    if error is not None:
        return error
    rules = [element for element in _root(s3, body) if _tag(element) == "Rule"]
    children = [{_tag(child) for child in rule} for rule in rules]
    malformed = not rules or any("Status" not in tags or not tags & {"Filter", "Prefix"} for tags in children)
    numbers = [element.text or "" for rule in rules for element in rule.iter() if _tag(element) in _NUMBERS]
    if malformed or not all(text.strip().isdigit() for text in numbers):
        return s3._error("MalformedXML", s3._MALFORMED_XML, 400)
    if not all(_RULE_ACTIONS & {_tag(child) for child in rule} for rule in rules):
        return s3._error("InvalidRequest", "At least one action needs to be specified in a rule", 400)
    names = [child.text for rule in rules for child in rule if _tag(child) == "ID" and child.text]
    if len(set(names)) != len(names):
        return s3._error("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule", 400)
    if any(len(name) > _LONGEST_ID for name in names):
        return s3._error("InvalidArgument", f"ID length should not exceed allowed limit of {_LONGEST_ID}", 400)
    return next((error for rule in rules if (error := _contradiction(s3, rule)) is not None), None)


def _contradiction(s3: Any, rule: Any) -> Any:
    """What two parts of a rule say against each other."""
    parts = [(_tag(part), {_tag(item): (item.text or "").strip() for item in part}) for part in rule]
    ends = [fields for name, fields in parts if name == "Expiration"]
    moves = [fields for name, fields in parts if name == "Transition"]
    if any("ExpiredObjectDeleteMarker" in fields and {"Days", "Date"} & set(fields) for fields in ends):
        return s3._error("MalformedXML", s3._MALFORMED_XML, 400)
    for move in moves:
        days, kind = int(move.get("Days", _INFREQUENT_AFTER)), move.get("StorageClass", "")
        if kind in _INFREQUENT and days < _INFREQUENT_AFTER:
            said = f"'Days' in Transition action must be greater than or equal to {_INFREQUENT_AFTER} for storageClass '{kind}'"
            return s3._error("InvalidArgument", said, 400)
        if any("Days" in end and "Days" in move and int(end["Days"]) <= days for end in ends):
            said = "'Days' in the Expiration action must be greater than 'Days' in the Transition action"
            return s3._error("InvalidArgument", said, 400)
    return None


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
