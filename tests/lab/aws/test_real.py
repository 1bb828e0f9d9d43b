"""The tenants' real AWS: whose keys, and that nothing is created there by accident. STS is a server of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab import consent, settings
from lab.aws import clients, real
from lab.aws.real import Real
from lab.errors import AwsError, LabError
from tests.lab.test_settings import MINIMAL, write

ACCOUNT = "123456789012"
PROFILES = """\
[default]
aws_access_key_id = AKIADEFAULT000000000
aws_secret_access_key = one
[user07]
aws_access_key_id = AKIAUSER070000000000
aws_secret_access_key = two
aws_session_token = three
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's AWS configuration, and nothing else that botocore would look at."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    (tmp_path / "credentials").write_text(PROFILES)
    return tmp_path


@pytest.fixture
def lab(shell: Path) -> settings.Settings:
    return settings.load(write(shell, MINIMAL), {"LAB_STATE": str(shell / "lab"), "LAB_AWS": "real"})


class _Sts(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = "AKIADEFAULT000000000" in self.headers["Authorization"]
        body = f"""<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/teacher</Arn>
            <UserId>AIDA</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""
        error = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>invalid token</Message></Error></ErrorResponse>"
        self.send_response(200 if known else 403)
        self.end_headers()
        self.wfile.write((body if known else error).encode())

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """STS's answers. Only the address is the test's: `real` itself never takes one from the shell."""
    with HTTPServer(("127.0.0.1", 0), _Sts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(real, "STS_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        real._sts.cache_clear()
        yield
        server.shutdown()
    real._sts.cache_clear()


def test_a_tenants_keys_are_its_profile_else_the_shells(lab: settings.Settings) -> None:
    provider = Real(lab)
    seventh, first = provider.keys("user07"), provider.keys("user01")
    assert seventh is not None
    assert (seventh.access_key_id, seventh.secret, seventh.token) == (
        "AKIAUSER070000000000",
        "two",
        "three",
    )
    assert first == provider.root()
    assert "two" not in repr(seventh)
    assert "three" not in repr(seventh)


def test_no_keys_are_told_as_aws_tells_it(lab: settings.Settings, shell: Path) -> None:
    (shell / "credentials").write_text("")
    assert Real(lab).keys("user01") is None
    with pytest.raises(AwsError, match="Unable to locate credentials") as caught:
        Real(lab).root()
    assert caught.value.hint.startswith("aws configure")
    assert not Real(lab).running()


def test_a_shell_of_the_lab_is_not_taken_for_one_of_aws(lab: settings.Settings, shell: Path) -> None:
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(lab.state / "users" / "user01" / "aws.ini")}
    with pytest.raises(AwsError, match="lab's own AWS keys") as caught:
        Real(lab, environ).root()
    assert caught.value.hint == "use a fresh shell"


def test_up_creates_nothing_before_somebody_agreed_to_that_account(lab: settings.Settings, sts: None) -> None:
    provider = Real(lab)
    with pytest.raises(
        AwsError, match=f"account {ACCOUNT}, as arn:aws:iam.*nobody agreed.*nothing was created"
    ) as caught:
        provider.start()
    assert "--yes" in caught.value.hint
    provider.agree()
    assert provider.question() is None
    assert provider.start() == f"account {ACCOUNT} as arn:aws:iam::{ACCOUNT}:user/teacher"


def test_consent_is_asked_for_like_a_clusters(lab: settings.Settings, sts: None) -> None:
    said: list[str] = []
    with pytest.raises(LabError, match="nobody agreed"):
        consent.obtain(Real(lab), yes=False, terminal=False, say=said.append)
    consent.obtain(Real(lab), yes=True, terminal=False, say=said.append)
    assert said == [
        f"up creates buckets, repositories and IAM users in AWS account {ACCOUNT}, as arn:aws:iam::{ACCOUNT}:user/teacher"
    ]
    Real(lab).delete()
    assert Real(lab).question() is not None


def test_another_account_than_lab_yamls_is_refused_whatever_was_agreed(lab: settings.Settings, sts: None) -> None:
    Real(lab).agree()
    other = lab.model_copy(update={"account": "999999999999"})
    with pytest.raises(AwsError, match=f"keys are of AWS account {ACCOUNT}, lab.yaml names 999999999999") as caught:
        Real(other).start()
    assert f"LAB_ACCOUNT={ACCOUNT}" in caught.value.hint
    finding = Real(other).diagnose()[0]
    assert not finding.good
    assert "999999999999" in finding.cure


def test_refused_keys_and_no_network_are_one_line_with_a_cure(
    lab: settings.Settings, shell: Path, sts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shell / "credentials").write_text(PROFILES.replace("AKIADEFAULT", "AKIAFOREIGN"))
    with pytest.raises(AwsError, match="AWS refused these keys: InvalidClientTokenId: invalid token"):
        Real(lab).identity()
    real._sts.cache_clear()
    monkeypatch.setattr(real, "STS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(AwsError, match="AWS does not answer") as caught:
        Real(lab).identity()
    assert "network" in caught.value.hint


def test_clients_of_real_aws_go_to_aws_whatever_the_shell_says(
    lab: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    made = clients.Clients(Real(lab), Real(lab).root(), lab.region)
    assert made("s3").meta.endpoint_url == "https://s3.ap-northeast-2.amazonaws.com"
    assert made("ecr").meta.endpoint_url == "https://api.ecr.ap-northeast-2.amazonaws.com"


def test_nothing_is_ever_removed(lab: settings.Settings) -> None:
    provider = Real(lab)
    provider.delete()
    assert provider.stop() is False
