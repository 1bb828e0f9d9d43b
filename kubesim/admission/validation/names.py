"""Names, labels and other identifiers: functions that return what is wrong with a text, in Kubernetes's words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = LABEL + r"(\." + LABEL + ")*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
LABEL_VALUE = f"({QUALIFIED})?"
CONFIG_KEY = r"[-._a-zA-Z0-9]+"
PERCENT = "[0-9]+%"
LONGEST = 253 + 1 + 63
"""A qualified name: a DNS subdomain, a slash and a name."""


def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(text)


_LABEL, _SUBDOMAIN, _LABEL_1035 = _compiled(LABEL), _compiled(SUBDOMAIN), _compiled(LABEL_1035)
_QUALIFIED, _LABEL_VALUE, _CONFIG_KEY = _compiled(QUALIFIED), _compiled(LABEL_VALUE), _compiled(CONFIG_KEY)


def _remembered(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    """The same names come again and again; what is found in one is a pure function of it (callers only read the list). What is too long
    for any name is not remembered: a client could fill this process with it."""
    remembered = lru_cache(maxsize=4096)(check)
    return lambda text: remembered(text) if len(text) <= LONGEST else check(text)


def regex_error(message: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{each}'" for each in examples)
    listed = shown.replace(" or ", ",  or ") if len(examples) > 1 else shown
    return f"{message} (e.g. {listed}, regex used for validation is '{pattern}')"


def too_long(maximum: int) -> str:
    return f"must be no more than {maximum} bytes"


LABEL_MESSAGE = regex_error(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
    "character",
    LABEL,
    "my-name",
    "123-abc",
)
SUBDOMAIN_MESSAGE = regex_error(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character",
    SUBDOMAIN,
    "example.com",
)
LABEL_1035_MESSAGE = regex_error(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an "
    "alphanumeric character",
    LABEL_1035,
    "my-name",
    "abc-123",
)
QUALIFIED_MESSAGE = regex_error(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
LABEL_VALUE_MESSAGE = regex_error(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character",
    LABEL_VALUE,
    "MyValue",
    "my_value",
    "12345",
)
CONFIG_KEY_MESSAGE = regex_error(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
PERCENT_MESSAGE = regex_error(
    "a valid percent string must be a numeric string followed by an ending '%'", PERCENT, "1%", "93%"
)
ENV_MESSAGE = "a valid environment variable name must consist only of printable ASCII characters other than '='"


@_remembered
def label(text: str) -> list[str]:
    found = [too_long(63)] if len(text) > 63 else []
    return found if _LABEL.fullmatch(text) else [*found, LABEL_MESSAGE]


@_remembered
def subdomain(text: str) -> list[str]:
    found = [too_long(253)] if len(text) > 253 else []
    return found if _SUBDOMAIN.fullmatch(text) else [*found, SUBDOMAIN_MESSAGE]


@_remembered
def label_1035(text: str) -> list[str]:
    found = [too_long(63)] if len(text) > 63 else []
    return found if _LABEL_1035.fullmatch(text) else [*found, LABEL_1035_MESSAGE]


def wildcard_subdomain(text: str) -> list[str]:
    pattern = r"\*\." + SUBDOMAIN
    if re.fullmatch(pattern, text):
        return []
    message = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case "
    message += "alphanumeric characters, '-' or '.' and end with an alphanumeric character"
    return [regex_error(message, pattern, "*.example.com")]


def path_segment(text: str) -> list[str]:
    """Names that only need to fit into a URL: RBAC's."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in text]


@_remembered
def qualified(text: str) -> list[str]:
    """A label's or annotation's key: prefix/name."""
    prefix, slash, name = text.rpartition("/")
    found: list[str] = []
    if "/" in prefix:
        message = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
        message += "character"
        examples = ("MyName", "my.name", "123-abc")
        return [
            regex_error(message, QUALIFIED, *examples)
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if slash:
        found += (
            ["prefix part must be non-empty"] if not prefix else [f"prefix part {each}" for each in subdomain(prefix)]
        )
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append(f"name part {too_long(63)}")
    return found if _QUALIFIED.fullmatch(name) else [*found, f"name part {QUALIFIED_MESSAGE}"]


@_remembered
def label_value(text: str) -> list[str]:
    found = [too_long(63)] if len(text) > 63 else []
    return found if _LABEL_VALUE.fullmatch(text) else [*found, LABEL_VALUE_MESSAGE]


@_remembered
def config_key(text: str) -> list[str]:
    found = [too_long(253)] if len(text) > 253 else []
    if not _CONFIG_KEY.fullmatch(text):
        found.append(CONFIG_KEY_MESSAGE)
    if text in (".", ".."):
        return [*found, f"must not be '{text}'"]
    return [*found, "must not start with '..'"] if text.startswith("..") else found


@_remembered
def env_name(text: str) -> list[str]:
    return [] if text and all(" " <= char <= "~" and char != "=" for char in text) else [ENV_MESSAGE]


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


@_remembered
def port_name(text: str) -> list[str]:
    found: list[str] = []
    if len(text) > 15:
        found.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return found


def ip(text: str) -> list[str]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def cidr(text: str) -> list[str]:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]
    return [] if "/" in text else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def percent(text: str) -> list[str]:
    return [] if re.fullmatch(PERCENT, text) else [PERCENT_MESSAGE]


def absolute_or_relative_path(text: str) -> list[str]:
    """A path that stays below where it is put."""
    found = ["must be a relative path"] if text.startswith("/") else []
    return [*found, "must not contain '..'"] if ".." in text.split("/") else found
