"""Terraform itself with its AWS provider: a bucket, a repository, users and roles, an entry of EKS; made, found unchanged, changed and destroyed.

``TERRAFORM_PLUGINS`` names a directory with the provider (``terraform providers mirror DIR``), so that nothing is fetched.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.awssim.running import Running

RESOURCES = 25
PLUGINS = os.environ.get("TERRAFORM_PLUGINS", "")
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not shutil.which("terraform") or not PLUGINS, reason="no terraform, or TERRAFORM_PLUGINS is not set"
    ),
]


class Terraform:
    def __init__(self, stand: Running, folder: Path) -> None:
        self._folder, keys = folder, stand.root
        (folder / "cli.rc").touch()
        self._environ = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TF_CLI_CONFIG_FILE": str(folder / "cli.rc"),
            "CHECKPOINT_DISABLE": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": stand.endpoint,
            "AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        }  # fmt: skip

    def __call__(self, command: str, *options: str, code: int = 0) -> str:
        call = ["terraform", command, "-no-color", "-input=false", *options]
        done = subprocess.run(
            call, cwd=self._folder, env=self._environ, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout


def test_a_plan_is_carried_out_kept_changed_and_taken_back(stand: Running, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("terraform") / "main.tf", tmp_path)
    terraform = Terraform(stand, tmp_path)
    terraform("init", f"-plugin-dir={PLUGINS}")
    assert f"{RESOURCES} added, 0 changed" in terraform("apply", "-auto-approve")
    terraform("plan", "-detailed-exitcode")  # 2 where what is read back is not what was made
    assert "3 changed, 0 destroyed" in terraform("apply", "-auto-approve", "-var=step=2")
    terraform("plan", "-detailed-exitcode", "-var=step=2")
    assert f"{RESOURCES} destroyed" in terraform("destroy", "-auto-approve", "-var=step=2")
    for service, list_all, found in (("s3", "list_buckets", "Buckets"), ("iam", "list_users", "Users")):
        names = [item.get("Name") or item.get("UserName") for item in getattr(stand.client(service), list_all)()[found]]
        assert not [name for name in names if name.startswith("tf-")]
