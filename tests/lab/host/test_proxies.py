"""A company's proxy has no part in what is on this machine."""

from __future__ import annotations

from lab.host import proxies


def test_no_proxy_nothing_to_do() -> None:
    assert proxies.bypass({"PATH": "/bin", "http_proxy": ""}) == {}


def test_local_names_are_added_to_what_is_there() -> None:
    made = proxies.bypass({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "example.com, 127.0.0.1"})
    assert made["no_proxy"] == made["NO_PROXY"] == "example.com,127.0.0.1,localhost,::1,.svc,.cluster.local"


def test_what_knows_them_is_left_alone() -> None:
    for listed in ("*", ",".join(proxies.LOCAL)):
        assert proxies.bypass({"http_proxy": "http://proxy:3128", "no_proxy": listed}) == {}
