"""The `real` provider: the tenants' own AWS account. `verify` reads it; `up` makes things there only after somebody agreed to it by account.

Keys are those of this user's AWS configuration, never the lab's: the profile `userNN` where there is one, else what the shell has (variables,
the default profile, single sign-on). Nothing is ever removed from a real account, not by `down --purge` either.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.aws.base import Capabilities, Keys
from lab.clusters.base import Finding
from lab.errors import AwsError
from lab.host.files import write_private
from lab.messages import mark, t
from lab.settings import Settings

STS_ENDPOINT: str | None = None
"""AWS's own; another only in tests."""
CAPABILITIES = Capabilities(
    enforces_iam=True,
    keeps_data=True,
    has_ecr=True,
    has_eks=True,
    shortcomings=mark(
        "the lab's own pods ask for S3 inside the cluster, where a real account is not: tenants have buckets, repositories and users, "
        "but MLflow's artifacts and serving need --aws standin"
    ),
)


@dataclass(frozen=True)
class Identity:
    """Who AWS says these keys are."""

    account: str
    arn: str


@dataclass(frozen=True)
class Real:
    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    name: str = "real"
    capabilities: Capabilities = CAPABILITIES

    def endpoint(self, service: str = "s3") -> str:
        """Empty: the AWS SDK knows AWS's own addresses."""
        return ""

    def routes(self) -> dict[str, str]:
        return {}

    def question(self) -> str | None:
        """Which account `up` would change, as whom; asked once for an account. Raises AwsError where it is not the one of lab.yaml."""
        who = self._require_named()
        if self._agreed() == who.account:
            return None
        return t(
            "up creates buckets, repositories and IAM users in AWS account {account}, as {arn}",
            account=who.account,
            arn=who.arn,
        )

    def agree(self) -> None:
        write_private(self._consent, self.identity().account)

    def start(self, address: str = "127.0.0.1") -> str | None:
        """Refuses unless somebody agreed to this very account being changed: what follows creates things there."""
        if (question := self.question()) is not None:
            raise AwsError(
                t("{question}; nobody agreed to that, and nothing was created", question=question),
                t("./inv up --aws real --yes agrees; ./inv verify only reads"),
            )
        who = self.identity()
        return t("account {account} as {arn}", account=who.account, arn=who.arn)

    def _require_named(self) -> Identity:
        who = self.identity()
        if who.account != self.settings.account:
            raise AwsError(
                t(
                    "these keys are of AWS account {account}, lab.yaml names {named}; nothing was created",
                    account=who.account,
                    named=self.settings.account,
                ),
                t("set account: in lab.yaml, or LAB_ACCOUNT={account}", account=who.account),
            )
        return who

    @property
    def _consent(self) -> Path:
        return self.settings.state / "aws-account-agreed"

    def _agreed(self) -> str:
        try:
            return self._consent.read_text().strip()
        except OSError:
            return ""

    def running(self) -> bool:
        """Whether AWS knows these keys; a few seconds at most."""
        try:
            self.identity()
        except AwsError:
            return False
        return True

    def identity(self) -> Identity:
        """Asks STS. Raises AwsError with what to type where there are no keys, or bad ones, or no network."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = _sts(self.root(), self.settings.region).get_caller_identity()
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            raise AwsError(
                t("AWS refused these keys: {code}: {message}", code=code, message=message),
                t("aws configure, or aws sso login"),
            ) from None
        except BotoCoreError as error:
            raise AwsError(
                t("AWS does not answer: {error}", error=error), t("is there a network? aws sts get-caller-identity")
            ) from None
        return Identity(found["Account"], found["Arn"])

    def root(self) -> Keys:
        """The keys of this shell, for they are all there are."""
        return self._require("")

    def keys(self, user: str) -> Keys | None:
        """The tenant's keys: profile `userNN` where this AWS configuration has one, else the shell's own; None where there are none."""
        return self._find(user if user in _session().available_profiles else "")

    def _require(self, profile: str) -> Keys:
        found = self._find(profile)
        if found is None:
            raise AwsError(t("Unable to locate credentials of AWS"), "aws configure; aws sts get-caller-identity")
        return found

    def _find(self, profile: str) -> Keys | None:
        from botocore.exceptions import BotoCoreError

        self._require_own_shell()
        try:
            credentials = _session(profile).get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials else None
        except BotoCoreError as error:
            raise AwsError(
                t("the AWS configuration has no usable keys: {error}", error=error),
                t("aws configure, or aws sso login"),
            ) from None
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or "") if frozen else None

    def _require_own_shell(self) -> None:
        """A shell made by `inv env` holds the stand-in's keys; AWS would only say that it does not know them."""
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            if Path(self.environ.get(name, "/")).is_relative_to(self.settings.state):
                raise AwsError(
                    t("this shell has the lab's own AWS keys ({name}), not those of AWS", name=name),
                    t("use a fresh shell"),
                )

    def stop(self) -> bool:
        return False

    def delete(self) -> None:
        """What lies in a real account is its owner's to remove; only the consent is forgotten."""
        self._consent.unlink(missing_ok=True)

    def folder(self) -> Path:
        """Nothing of a real account lies on this host; reports may go here."""
        return self.settings.state / "aws"

    def diagnose(self) -> list[Finding]:
        try:
            who = self.identity()
        except AwsError as error:
            return [Finding(False, mark("AWS account"), error.message, error.hint)]
        good = who.account == self.settings.account
        cure = (
            ""
            if good
            else t(
                "lab.yaml names {named}: set account: there, or LAB_ACCOUNT={account}",
                named=self.settings.account,
                account=who.account,
            )
        )
        return [Finding(good, mark("AWS account"), t("{account} as {arn}", account=who.account, arn=who.arn), cure)]


def _session(profile: str = "") -> Any:
    import boto3

    return boto3.session.Session(profile_name=profile or None)


@lru_cache(maxsize=4)
def _sts(keys: Keys, region: str) -> Any:
    """STS with short time-outs: `status` and `doctor` ask it too."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=3,
        read_timeout=5,
        retries={"total_max_attempts": 2},
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # the stubs do not know it
    )
    session = boto3.session.Session(keys.access_key_id, keys.secret, keys.token or None, region)
    return session.client("sts", config=config, endpoint_url=STS_ENDPOINT)
