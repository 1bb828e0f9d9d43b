"""URLs to what they ask for."""

from __future__ import annotations

import pytest

from kubesim import paths


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "v1", "", "pods", "", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "v1", "a", "namespaces", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "v1", "a", "namespaces", "a", "finalize")),
        ("PATCH", "/api/v1/namespaces/a/status", ("patch", "", "v1", "a", "namespaces", "a", "status")),
        ("POST", "/api/v1/namespaces/a/pods", ("create", "", "v1", "a", "pods", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/b/log", ("get", "", "v1", "a", "pods", "b", "log")),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments",
            ("deletecollection", "apps", "v1", "a", "deployments", "", ""),
        ),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/d", ("delete", "apps", "v1", "a", "deployments", "d", "")),
        ("HEAD", "/apis/apps/v1/deployments", ("list", "apps", "v1", "", "deployments", "", "")),
    ],
)
def test_resources(method: str, path: str, expected: tuple[str, ...]) -> None:
    info = paths.parse(method, path)
    assert info.is_resource
    assert (info.verb, info.group, info.version, info.namespace, info.resource, info.name, info.subresource) == expected


def test_what_follows_a_subresource_is_kept() -> None:
    info = paths.parse("GET", "/api/v1/namespaces/a/services/web:80/proxy/one/two")
    assert (info.name, info.subresource, info.rest) == ("web:80", "proxy", "one/two")


def test_names_are_unquoted_and_slashes_in_them_do_not_split() -> None:
    assert paths.parse("GET", "/api/v1/namespaces/a/configmaps/b%2Fc").name == "b/c"


@pytest.mark.parametrize(
    ("query", "verb"), [({"watch": "1"}, "watch"), ({"watch": "true"}, "watch"), ({"watch": "0"}, "list"), ({}, "list")]
)
def test_watch(query: dict[str, str], verb: str) -> None:
    assert paths.parse("GET", "/api/v1/pods", query).verb == verb


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/metrics", "/api/v1/"]
)
def test_other_paths_are_no_resources(path: str) -> None:
    info = paths.parse("GET", path)
    assert (info.is_resource, info.verb) == (False, "get")
