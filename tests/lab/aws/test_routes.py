"""Which service is where: what a shell, a configuration file and the providers make of the tables."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from lab import settings
from lab.aws import detect, routes
from lab.aws.base import Keys
from lab.aws.real import Real
from lab.settings import Settings
from lab.tenancy import users
from tests.lab.test_settings import MINIMAL, write

S3, OURS = "http://127.0.0.1:4566", "http://127.0.0.1:4567"


@pytest.fixture
def lab(tmp_path: Path) -> Settings:
    return settings.load(write(tmp_path, MINIMAL), {"LAB_STATE": str(tmp_path / "lab")})


def on(lab: Settings, name: str) -> Settings:
    return lab.model_copy(update={"aws": name})


def test_the_stand_in_has_everything_at_one_address(lab: Settings) -> None:
    assert routes.variables(on(lab, "standin"), {}) == {"AWS_ENDPOINT_URL": S3}
    assert on(lab, "standin").standin_port == 4566


def test_localstack_has_s3_and_the_stand_in_what_must_know_who_asks(lab: Settings) -> None:
    elsewhere = dict.fromkeys(("ECR", "EKS", "IAM", "STS"), OURS)
    wanted = {"AWS_ENDPOINT_URL": S3} | {f"AWS_ENDPOINT_URL_{key}": url for key, url in elsewhere.items()}
    assert routes.variables(on(lab, "localstack"), {}) == wanted
    assert on(lab, "localstack").standin_port == 4567


def test_with_a_token_localstack_has_its_own_ecr(lab: Settings) -> None:
    paid = routes.variables(on(lab, "localstack"), {routes.TOKEN: "x"})
    assert (paid["AWS_ENDPOINT_URL_ECR"], paid["AWS_ENDPOINT_URL_EKS"]) == (S3, OURS)


def test_real_aws_needs_no_variables(lab: Settings) -> None:
    assert routes.variables(on(lab, "real"), {}) == {}
    assert routes.profile(on(lab, "real"), {}) == ""
    assert routes.endpoint(on(lab, "real"), "s3", {}) == ""


@pytest.mark.parametrize(("name", "ecr"), [("standin", S3), ("localstack", OURS)])
def test_the_file_of_a_tenant_routes_the_aws_tools_like_the_shells_variables(
    lab: Settings, monkeypatch: pytest.MonkeyPatch, name: str, ecr: str
) -> None:
    users.write_keys(on(lab, name), "user01", Keys("AKIAEXAMPLE", "secret"))
    ini = str(lab.state / "users" / "user01" / "aws.ini")
    for key in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", ini)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", ini)
    session = boto3.session.Session()
    assert session.client("s3").meta.endpoint_url == S3
    assert session.client("ecr").meta.endpoint_url == ecr
    assert users.read_keys(lab, "user01") == Keys("AKIAEXAMPLE", "secret")


def test_auto_takes_localstack_only_where_its_image_is_and_says_why(lab: Settings) -> None:
    there, why = detect(lab, worth=lambda: (True, "Docker has its image"))
    assert (there.name, why) == ("localstack", "Docker has its image")
    assert there.endpoint("ecr") == OURS
    absent, why = detect(lab, worth=lambda: (False, "Docker has no localstack/localstack:4.14.0"))
    assert (absent.name, why) == ("standin", "Docker has no localstack/localstack:4.14.0")
    assert absent.endpoint("ecr") == S3


def test_what_was_asked_for_is_not_second_guessed(lab: Settings) -> None:
    def never() -> tuple[bool, str]:
        raise AssertionError("Docker is not asked where somebody chose")

    made, why = detect(on(lab, "real"), worth=never)
    assert isinstance(made, Real)
    assert why == "as asked"
