"""`invoke push`: what it sends, as whom, and what the registry says of it afterwards."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import pytest

from kubesim.node.images import ImageStore
from lab.errors import AwsError, LabError
from lab.push import Pushed, layout, push, source
from lab.world import World

REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"


def pushed(world: World, image: str, **options: Any) -> tuple[Pushed, list[str]]:
    said: list[str] = []
    return push(world, image, world.settings.one("01"), say=said.append, **options), said


def token(world: World, num: str = "01") -> str:
    clients = world.aws_as(world.settings.one(num))
    return str(clients("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"])


def fetch(world: World, path: str) -> bytes:
    """From the registry as any client would, checked against the digest it is asked by."""
    answer = httpx.get(f"{world.aws.endpoint('ecr')}/v2/{path}", headers={"Authorization": f"Basic {token(world)}"})
    answer.raise_for_status()
    digest = path.rpartition("/")[2]
    if digest.startswith("sha256:"):
        assert hashlib.sha256(answer.content).hexdigest() == digest[7:]
    return answer.content


def test_a_lab_image_is_an_oci_image_of_its_own_files(world: World) -> None:
    done, said = pushed(world, "ops-demo:serving", tag="v1")
    name = "mlops-training/user01/iris-api"
    assert done.reference == f"{REGISTRY}/{name}:v1"
    assert [line.split()[1] for line in said] == ["pushed", "pushed"]
    manifest = json.loads(fetch(world, f"{name}/manifests/{done.digest}"))
    config = json.loads(fetch(world, f"{name}/blobs/{manifest['config']['digest']}"))
    plain = gzip.decompress(fetch(world, f"{name}/blobs/{manifest['layers'][0]['digest']}"))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(plain).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["python", "-m", "serving"]
    assert config["config"]["User"] == "10001"
    assert "packages of the Dockerfile are not in this image" in config["config"]["Labels"]["mlops-lab.contents"]
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
        assert "app/serving/__main__.py" in names
        assert {member.uid for member in archive.getmembers()} == {0}
    assert not [name for name in names if "site-packages" in name or name.endswith("/python")]


def test_a_second_push_sends_nothing_and_the_node_knows_the_real_name(world: World) -> None:
    first, _ = pushed(world, "serving", tag="v2")
    again, said = pushed(world, "serving", tag="v2")
    assert again == first
    assert [line.split(":")[1].split("  ")[0].strip() for line in said] == ["already exists"] * 2
    assert ImageStore(world.settings.state / "cluster").resolve(first.reference) is not None


def test_ecr_tells_the_truth_about_it(world: World) -> None:
    done, _ = pushed(world, "training", tag="v1")
    ecr = world.aws_as(world.settings.one("01"))("ecr")
    detail = ecr.describe_images(repositoryName="mlops-user01-training", imageIds=[{"imageTag": "v1"}])["imageDetails"][
        0
    ]
    assert (detail["imageDigest"], detail["imageTags"]) == (done.digest, ["v1"])
    assert detail["imageManifestMediaType"] == layout.MANIFEST
    assert 0 < detail["imageSizeInBytes"] <= done.size


def test_another_tenants_repository_is_refused_before_and_by_the_registry(world: World) -> None:
    with pytest.raises(LabError, match="mlops-training/user02 is not a repository of user01") as caught:
        pushed(world, "serving", repository="mlops-training/user02")
    assert "mlops-training/user01/iris-api" in caught.value.hint
    with pytest.raises(AwsError, match=r"registry refused .*mlops-training/user02"):
        _as_first_into(world, "mlops-training/user02")


def _as_first_into(world: World, name: str) -> None:
    from lab.push.registry import login

    with login(world.aws_as(world.settings.one("01")), world.aws.endpoint("ecr")) as client:
        client.upload(name, layout.Blob.of(b"{}"))


def test_a_folder_with_a_dockerfile_is_built_and_pushed(world: World, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        'FROM python:3.11-slim\nCOPY app.py /app/\nUSER 10001\nCMD ["python", "/app/app.py"]\n'
    )
    (tmp_path / "app.py").write_text("print('hello')\n")
    done, _ = pushed(world, str(tmp_path), tag="mine")
    assert done.reference == f"{REGISTRY}/mlops-training/user01:mine"
    (tmp_path / "app.py").write_text("print('hello again')\n")
    assert pushed(world, str(tmp_path), tag="mine")[0].digest != done.digest


def test_an_oci_layout_is_pushed_as_it_is(world: World, tmp_path: Path) -> None:
    made = layout.make(source.build(tmp_path / "state", "serving", "x:1"), tmp_path / "state" / "images")
    digest = layout_in(tmp_path / "oci", made)
    done, _ = pushed(world, str(tmp_path / "oci"), tag="layout")
    assert done.digest == digest
    blob = tmp_path / "oci" / "blobs" / "sha256" / made.blobs[1].digest[7:]
    blob.write_bytes(b"other")
    with pytest.raises(LabError, match="is damaged: its content is sha256:"):
        pushed(world, str(tmp_path / "oci"), tag="layout")


def layout_in(folder: Path, made: layout.Layout) -> str:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    manifest = layout.Blob.of(made.manifest)
    for blob in (*made.blobs, manifest):
        (blobs / blob.digest[7:]).write_bytes(blob.data)
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": layout.MANIFEST, "digest": manifest.digest, "size": manifest.size}],
    }
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return manifest.digest


@pytest.mark.parametrize(
    ("image", "message"), [("nothing:1", "there is no image 'nothing:1'"), ("/nowhere", "there is no image '/nowhere'")]
)
def test_an_unknown_image_is_told_with_what_there_is(world: World, image: str, message: str) -> None:
    with pytest.raises(LabError, match=message) as caught:
        pushed(world, image)
    assert "ops-demo:serving" in caught.value.hint


def test_a_registry_that_is_down_is_one_message(world: World) -> None:
    from lab.push.registry import login

    with (
        login(world.aws_as(world.settings.one("01")), "http://127.0.0.1:9") as client,
        pytest.raises(AwsError, match="does not answer"),
    ):
        client.upload("mlops-training/user01", layout.Blob.of(b"{}"))


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_reads_it_copies_it_and_pushes_it_back(world: World, tmp_path: Path) -> None:
    done, _ = pushed(world, "serving", tag="skopeo")
    host = world.aws.endpoint("ecr").removeprefix("http://")
    image = f"docker://{host}/mlops-training/user01/iris-api"
    credentials = b64decode(token(world)).decode()

    def skopeo(*command: str) -> str:
        run = subprocess.run(["skopeo", *command], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout

    seen = json.loads(skopeo("inspect", "--tls-verify=false", "--creds", credentials, f"{image}:skopeo"))
    assert seen["Digest"] == done.digest
    assert "skopeo" in seen["RepoTags"]
    skopeo(
        "copy", "--src-tls-verify=false", "--src-creds", credentials, f"{image}:skopeo", f"oci:{tmp_path}/copy:latest"
    )
    assert (
        pushed(world, str(tmp_path / "copy"), tag="back", repository="mlops-training/user01/iris-api")[0].digest
        == done.digest
    )
    skopeo(
        "copy", "--dest-tls-verify=false", "--dest-creds", credentials, f"oci:{tmp_path}/copy:latest", f"{image}:again"
    )
    assert json.loads(fetch(world, "mlops-training/user01/iris-api/manifests/again"))["schemaVersion"] == 2
