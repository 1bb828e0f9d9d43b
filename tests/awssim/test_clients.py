"""Real registry clients."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.awssim.images import Client, image
from tests.awssim.running import Running, tenant, tenant_policy

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="no skopeo on PATH")


def skopeo(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, timeout=60, check=False)
    shown = [f"{word.partition('AWS:')[0]}AWS:..." if "AWS:" in word else word for word in arguments]
    print(f"$ skopeo {' '.join(shown)}\n{done.stdout}{done.stderr}".rstrip())
    return done


def test_skopeo_copies_in_and_out_as_a_tenant(stand: Running, tmp_path: Path) -> None:
    host, names = stand.endpoint.removeprefix("http://"), ("mlops-training/user81", "mlops-training/user82")
    for name in names:
        stand.client("ecr").create_repository(repositoryName=name)
    with Client(stand) as root:
        root.push(names[0], image({"etc/app": b"x" * 100_000}), "v1")
    with Client(stand, tenant(stand, "user81", tenant_policy("81"))) as mine:
        credentials = f"AWS:{mine.password}"
    source, folder = f"docker://{host}/{names[0]}", f"dir:{tmp_path}/image"
    out = skopeo("copy", "--src-tls-verify=false", f"--src-creds={credentials}", f"{source}:v1", folder)
    assert out.returncode == 0, out.stderr
    back = skopeo("copy", "--dest-tls-verify=false", f"--dest-creds={credentials}", folder, f"{source}:v2")
    assert back.returncode == 0, back.stderr
    shown = json.loads(skopeo("inspect", "--tls-verify=false", f"--creds={credentials}", f"{source}:v2").stdout)
    assert shown["RepoTags"] == ["v1", "v2"]
    foreign = skopeo(
        "copy", "--dest-tls-verify=false", f"--dest-creds={credentials}", folder, f"docker://{host}/{names[1]}:v1"
    )
    assert foreign.returncode != 0
    assert "403 (Forbidden)" in foreign.stderr
    wrong = skopeo("inspect", "--tls-verify=false", "--creds=AWS:wrong", f"{source}:v1")
    assert wrong.returncode != 0
