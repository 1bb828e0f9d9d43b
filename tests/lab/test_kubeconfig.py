"""One reader for every kubeconfig: what kubectl would read of it, and words for what cannot be read."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.connection import connect
from lab.errors import ClusterError, LabError
from lab.kubeconfig import Context, files, read

PEM = "-----BEGIN CERTIFICATE-----\nof the cluster\n"
CLUSTER = {"server": "https://10.0.0.9:6443/"}


def written(path: Path, cluster: Any = CLUSTER, user: Any = None, **parts: Any) -> Path:
    whole = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(whole | parts))
    return path


def test_files_that_it_names_are_read_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    (tmp_path / "token").write_text("secret\n")
    path = written(tmp_path / "config", {**CLUSTER, "certificate-authority": "ca.pem"}, {"tokenFile": "token"})
    found = read([path])
    assert (found.server, found.authority, found.user) == ("https://10.0.0.9:6443", PEM, {"token": "secret"})
    assert (found.certificate, found.key) == ("", "")


def test_a_context_alone_is_the_same_context(tmp_path: Path) -> None:
    found = read([written(tmp_path / "config", user={"token": "t"})])
    (tmp_path / "alone").write_text(found.alone())
    assert read([tmp_path / "alone"]) == Context("x", tmp_path / "alone", found.cluster, found.user)


def test_the_first_file_that_sets_something_wins(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text(yaml.safe_dump({"current-context": "x", "users": [{"name": "u", "user": {"token": "first"}}]}))
    second = written(tmp_path / "second", user={"token": "second"})
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'not-there'}:{second}"}
    found = read(files(environ))
    assert (found.user, found.file) == ({"token": "first"}, second)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"contexts": None}, "no context 'x'"),
        ({"contexts": "text"}, "no context 'x'"),
        ({"users": ["text"]}, "no user 'u'"),
        ({"clusters": [{"name": "c", "cluster": "text"}]}, "no cluster 'c'"),
        ({"current-context": ""}, "no current context"),
        ({"clusters": [{"name": "c", "cluster": {"certificate-authority": "gone"}}]}, "cannot read .*gone"),
        ({"users": [{"name": "u", "user": {"client-key": "gone"}}]}, "client-key: No such file"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    path = written(tmp_path / "config", **parts)
    with pytest.raises(LabError, match=said):
        read([path])
    with pytest.raises(ClusterError, match=said) as caught:
        connect(path)
    assert caught.value.hint == "./inv up writes it"


@pytest.mark.parametrize("data", ["not base64!", b64encode(b"\xff\xfe").decode(), b64encode(b"no PEM").decode()])
def test_an_authority_that_is_none_is_told(tmp_path: Path, data: str) -> None:
    path = written(tmp_path / "config", {**CLUSTER, "certificate-authority-data": data})
    with pytest.raises(ClusterError, match=r"config cannot be used: .*certificate"):
        connect(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="there is no kubeconfig at"):
        connect(tmp_path / "kubeconfig")
