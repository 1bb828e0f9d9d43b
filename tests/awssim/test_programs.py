"""Programs that bring their own S3 client: s3fs, MLflow's artifacts."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.awssim.running import REGION, Running, tenant, tenant_policy

LOCK = Path(__file__).with_name("s3fs.lock")


@pytest.fixture(scope="session")
def s3fs_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with s3fs, in an environment of its own: its aiobotocore pins another botocore than ministack does.

    ``S3FS_PYTHON`` names one; otherwise it is made of ``s3fs.lock`` (once: it is kept beside pytest's own temporary folders).
    """
    if named := os.environ.get("S3FS_PYTHON"):
        return named
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    parallel = "PYTEST_XDIST_WORKER" in os.environ  # whose folder is one level further down
    folder = tmp_path_factory.getbasetemp().parents[1 if parallel else 0] / f"s3fs-{digest}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return str(python)
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK)],
    ):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"s3fs cannot be installed here: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    complete.touch()
    return str(python)


S3FS = """
import os, s3fs
fs = s3fs.S3FileSystem(key=os.environ["AWS_ACCESS_KEY_ID"], secret=os.environ["AWS_SECRET_ACCESS_KEY"],
                       endpoint_url=os.environ["AWS_ENDPOINT_URL"], client_kwargs={"region_name": "ap-northeast-2"})
root = "mlops-training-user67"
with fs.open(f"{root}/data/한글.csv", "wb") as file:
    file.write(b"a,b\\n" * 3_000_000)          # more than one part
with fs.open(f"{root}/data/한글.csv", "rb") as file:
    file.seek(-4, 2)
    assert file.read() == b"a,b\\n"
assert fs.info(f"{root}/data/한글.csv")["size"] == 12_000_000
fs.pipe(f"{root}/data/small", b"1")
fs.copy(f"{root}/data/small", f"{root}/data/copy")
assert sorted(fs.ls(f"{root}/data", detail=False)) == [f"{root}/data/{name}" for name in ("copy", "small", "한글.csv")]
assert fs.glob(f"{root}/**/s*") == [f"{root}/data/small"]
fs.rm(f"{root}/data", recursive=True)
assert not fs.exists(f"{root}/data/small")
try:
    fs.ls("not-of-user67")
except PermissionError:
    print("done")
"""


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_s3fs_as_a_tenant(stand: Running, s3fs_python: str) -> None:
    for name in ("mlops-training-user67", "not-of-user67"):
        stand.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    keys = tenant(stand, "user67", tenant_policy("67"))
    done = subprocess.run(
        [s3fs_python, "-c", S3FS],
        env=stand.environment(keys),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_mlflows_artifacts(stand: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**stand.environment(), "MLFLOW_S3_ENDPOINT_URL": stand.endpoint}.items():
        monkeypatch.setenv(name, value)
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    bucket = "mlflow-artifacts-test"
    stand.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    model = tmp_path / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "data" / "weights.bin").write_bytes(os.urandom(1 << 20) * 12)
    repository = S3ArtifactRepository(f"s3://{bucket}/1/abc/artifacts")
    repository.log_artifacts(str(model), "model")
    listed = {item.path: item.file_size for item in repository.list_artifacts("model")}
    assert listed == {"model/MLmodel": 12, "model/data": None}
    back = Path(repository.download_artifacts("model", str(tmp_path)))
    for name in ("MLmodel", "data/weights.bin"):
        assert hashlib.md5((back / name).read_bytes()).digest() == hashlib.md5((model / name).read_bytes()).digest()
    repository.delete_artifacts("model")
    assert repository.list_artifacts("model") == []
