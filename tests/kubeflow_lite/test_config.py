"""Where the cluster is: a kubeconfig with files or inline data, or a pod's service account; and one clear line where neither is."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
import yaml

from kubeflow_lite.__main__ import main
from kubeflow_lite.errors import ConfigurationError
from kubeflow_lite.kube import config
from kubeflow_lite.kube.client import path


def kubeconfig(folder: Path, cluster: dict[str, object], user: dict[str, object]) -> Path:
    target = folder / "config"
    body = {
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "sim", "user": "me"}}],
        "clusters": [{"name": "sim", "cluster": {"server": "https://127.0.0.1:16443/", **cluster}}],
        "users": [{"name": "me", "user": user}],
    }
    target.write_text(yaml.safe_dump(body))
    return target


def test_inline_data_and_files(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    data = base64.b64encode(b"KEY").decode()
    access = config.detect(
        {"KUBECONFIG": str(kubeconfig(tmp_path, {"certificate-authority": "ca.crt"}, {"client-key-data": data}))}
    )
    assert (access.server, access.ca, access.key) == ("https://127.0.0.1:16443", "CA", "KEY")
    assert "KEY" not in repr(access)


def test_a_service_account(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "token").write_text("first\n")
    access = config.in_cluster({"KUBERNETES_SERVICE_HOST": "127.11.0.1"}, tmp_path)
    assert access.server == "https://127.11.0.1:443"
    token = config.Token(access)
    assert token.current() == "first"
    assert config.in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path).server == "https://[fd00::1]:443"


def test_a_replaced_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    token = config.Token(config.Access("https://x", token_file=file))
    assert token.current() == "first"
    file.write_text("second")
    assert token.current() == "first"
    monkeypatch.setattr(config, "TOKEN_SECONDS", -1)
    assert token.current() == "second"


@pytest.mark.parametrize("text", ["", "[]", "current-context: x", ":", "{"])
def test_a_broken_kubeconfig_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigurationError, match="cannot use kubeconfig"):
        config.from_kubeconfig(tmp_path / "config")


def test_no_cluster_at_all_is_one_line_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {})
    assert main(["dashboard", "--port", "0"]) == 1
    captured = capsys.readouterr().err
    assert captured.startswith("kubeflow_lite dashboard: neither KUBECONFIG nor a service account")
    assert captured.count("\n") == 1


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        (("v1/pods",), "/api/v1/pods"),
        (("v1/pods", "ns", "p"), "/api/v1/namespaces/ns/pods/p"),
        (("v1/namespaces", "", "ns"), "/api/v1/namespaces/ns"),
        (("apps/v1/deployments", "ns", "d", "scale"), "/apis/apps/v1/namespaces/ns/deployments/d/scale"),
        (("kubeflow.org/v1/profiles", "", "p", "status"), "/apis/kubeflow.org/v1/profiles/p/status"),
    ],
)
def test_paths(parts: tuple[str, ...], url: str) -> None:
    assert path(*parts) == url
