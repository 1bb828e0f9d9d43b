"""OCI Distribution on /v2: the conformance behaviours, who may push, and that nothing is lost."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from awssim.registry.names import is_digest, is_repository, is_tag, split
from awssim.registry.store import Store
from awssim.registry.tokens import BadToken, Tokens
from tests.awssim.images import LAYER, OCI, Client, digest_of, image
from tests.awssim.running import Running, running, tenant, tenant_policy

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def client(stand: Running) -> Any:
    with Client(stand) as client:
        yield client


def repository(stand: Running, name: str, **more: Any) -> str:
    stand.client("ecr").create_repository(repositoryName=name, **more)
    return name


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def test_push_and_pull(stand: Running, client: Client) -> None:
    name, made = repository(stand, "push/pull"), image({"app.py": b"print()"})
    pushed = client.push(name, made, "v1")
    assert pushed.status_code == 201
    digest = pushed.headers["docker-content-digest"]
    assert digest == digest_of(made.manifest())
    for reference in ("v1", digest):
        got = client.get(f"/v2/{name}/manifests/{reference}")
        assert (got.content, got.headers["content-type"]) == (made.manifest(), OCI)
        head = client.head(f"/v2/{name}/manifests/{reference}")
        assert int(head.headers["content-length"]) == len(made.manifest())
    assert client.get(f"/v2/{name}/blobs/{digest_of(made.layers[0])}").content == made.layers[0]
    assert client.get(f"/v2/{name}/tags/list").json() == {"name": name, "tags": ["v1"]}


def test_blobs_in_chunks_and_in_ranges(stand: Running, client: Client) -> None:
    name, content = repository(stand, "chunks"), bytes(range(256)) * 20_000
    location = client.post(f"/v2/{name}/blobs/uploads/").headers["location"]
    half = len(content) // 2
    first = client.patch(location, content=content[:half], headers={"Content-Range": f"0-{half - 1}"})
    assert (first.status_code, first.headers["range"]) == (202, f"0-{half - 1}")
    assert code(client.patch(location, content=b"x", headers={"Content-Range": "0-0"})) == (416, "BLOB_UPLOAD_INVALID")
    assert client.get(location).headers["range"] == f"0-{half - 1}"
    client.patch(location, content=content[half:], headers={"Content-Range": f"{half}-{len(content) - 1}"})
    assert client.put(location, params={"digest": digest_of(content)}).status_code == 201
    part = client.get(f"/v2/{name}/blobs/{digest_of(content)}", headers={"Range": "bytes=1000000-2000000"})
    assert (part.status_code, part.content) == (206, content[1000000:2000001])
    assert client.get(f"/v2/{name}/blobs/{digest_of(content)}", headers={"Range": "bytes=99999999-"}).status_code == 416
    assert code(client.get(location)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_one_request_uploads_and_a_wrong_digest_is_refused(stand: Running, client: Client) -> None:
    name = repository(stand, "monolithic")
    sent = client.post(f"/v2/{name}/blobs/uploads/", params={"digest": digest_of(b"one")}, content=b"one")
    assert sent.status_code == 201
    assert code(client.post(f"/v2/{name}/blobs/uploads/", params={"digest": digest_of(b"two")}, content=b"one")) == (
        400,
        "DIGEST_INVALID",
    )
    assert client.head(f"/v2/{name}/blobs/{digest_of(b'two')}").status_code == 404
    location = client.post(f"/v2/{name}/blobs/uploads/").headers["location"]
    assert client.delete(location).status_code == 204
    assert client.get(location).status_code == 404


def test_a_mount_needs_the_right_to_read_its_source(stand: Running, client: Client) -> None:
    for name in ("mount-source", "mlops-training/user61"):
        repository(stand, name)
    client.send_blob("mount-source", b"shared")
    mount = {"mount": digest_of(b"shared"), "from": "mount-source"}
    with Client(stand, tenant(stand, "user61", tenant_policy("61"))) as other:
        assert other.post("/v2/mlops-training/user61/blobs/uploads/", params=mount).status_code == 202
        assert other.head(f"/v2/mlops-training/user61/blobs/{mount['mount']}").status_code == 404
    assert client.post("/v2/mlops-training/user61/blobs/uploads/", params=mount).status_code == 201
    assert client.get(f"/v2/mlops-training/user61/blobs/{mount['mount']}").content == b"shared"


def test_a_manifest_needs_its_content(stand: Running, client: Client) -> None:
    name, made = repository(stand, "incomplete"), image({"a": b"1"})
    assert code(client.put_manifest(name, made.manifest(), "v1")) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert code(client.put_manifest(name, b"{", "v1")) == (400, "MANIFEST_INVALID")
    assert code(client.put_manifest(name, b'{"schemaVersion": 1}', "v1")) == (400, "MANIFEST_INVALID")
    client.push(name, made, "v1")
    assert code(client.put_manifest(name, made.manifest(), digest_of(b"other"))) == (400, "DIGEST_INVALID")
    assert code(client.put_manifest(name, made.manifest(), "a b")) == (400, "TAG_INVALID")
    assert code(
        client.put_manifest(name, made.manifest(), "v1", "application/vnd.docker.distribution.manifest.v2+json")
    ) == (400, "MANIFEST_INVALID")


def test_an_index_keeps_its_images(stand: Running, client: Client) -> None:
    name, made = repository(stand, "multi"), image({"a": b"arch"})
    item = {"mediaType": OCI, "digest": digest_of(made.manifest()), "size": len(made.manifest())}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [item]}).encode()
    assert code(client.put_manifest(name, index, "all", INDEX)) == (400, "MANIFEST_BLOB_UNKNOWN")
    client.push(name, made, digest_of(made.manifest()))
    assert client.put_manifest(name, index, "all", INDEX).status_code == 201
    assert client.get(f"/v2/{name}/manifests/all").headers["content-type"] == INDEX
    assert code(client.delete(f"/v2/{name}/manifests/{item['digest']}")) == (405, "UNSUPPORTED")
    assert client.delete(f"/v2/{name}/manifests/{digest_of(index)}").status_code == 202
    assert client.delete(f"/v2/{name}/manifests/{item['digest']}").status_code == 202
    assert client.get(f"/v2/{name}/manifests/{item['digest']}").status_code == 404


def test_referrers(stand: Running, client: Client) -> None:
    name, made, signature = repository(stand, "referrers"), image({"a": b"1"}), image({"sig": b"2"}, "signature")
    client.push(name, made, "v1")
    subject = {"mediaType": OCI, "digest": digest_of(made.manifest()), "size": len(made.manifest())}
    pushed = client.push(name, signature, "sig", subject=subject, artifactType="application/vnd.example.signature")
    assert pushed.headers["oci-subject"] == subject["digest"]
    listed = client.get(f"/v2/{name}/referrers/{subject['digest']}")
    assert [item["artifactType"] for item in listed.json()["manifests"]] == ["application/vnd.example.signature"]
    none = client.get(f"/v2/{name}/referrers/{subject['digest']}", params={"artifactType": "application/other"})
    assert (none.json()["manifests"], none.headers["oci-filters-applied"]) == ([], "artifactType")


def test_tags_come_in_pages(stand: Running, client: Client) -> None:
    name, made = repository(stand, "pages"), image({"a": b"1"})
    for tag in ("b", "a", "c"):
        client.push(name, made, tag)
    first = client.get(f"/v2/{name}/tags/list", params={"n": 2})
    assert (first.json()["tags"], first.headers["link"]) == (
        ["a", "b"],
        f'</v2/{name}/tags/list?last=b&n=2>; rel="next"',
    )
    assert client.get(f"/v2/{name}/tags/list", params={"n": 2, "last": "b"}).json()["tags"] == ["c"]


def test_nobody_comes_in_without_a_token(stand: Running, client: Client) -> None:
    repository(stand, "private")
    with httpx.Client(base_url=stand.endpoint) as bare:
        for path in ("/v2/", "/v2/_catalog", "/v2/private/tags/list", "/v2/private/manifests/v1"):
            answer = bare.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
        forged = base64.b64encode(f"AWS:{base64.b64encode(bytes(32) + b'{}').decode()}".encode()).decode()
        for header in (f"Basic {forged}", "Basic QVdTOm1pbmlzdGFjay1hdXRoLXRva2Vu", "Bearer x", "Basic ///"):
            assert bare.get("/v2/", headers={"Authorization": header}).status_code == 401
        assert bare.get("/v2/", auth=("user", client.password)).status_code == 401
        assert bare.get("/v2/", auth=("AWS", client.password)).status_code == 200


def test_push_and_pull_are_authorized_by_repository(stand: Running, client: Client) -> None:
    own, other, made = "mlops-training/user71/iris-api", "mlops-training/user72", image({"a": b"1"})
    for name in (own, other):
        repository(stand, name)
    client.push(other, made, "v1")
    keys = tenant(stand, "user71", tenant_policy("71"))
    with Client(stand, keys) as mine:
        assert mine.push(own, made, "v1").status_code == 201
        answer = mine.get(f"/v2/{other}/manifests/v1")
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["message"] == (
            "User: arn:aws:iam::123456789012:user/user71 is not authorized to perform: ecr:BatchGetImage on resource: "
            "arn:aws:ecr:ap-northeast-2:123456789012:repository/mlops-training/user72 "
            "because no identity-based policy allows the ecr:BatchGetImage action"
        )
        assert code(mine.post(f"/v2/{other}/blobs/uploads/")) == (403, "DENIED")
        assert mine.get("/v2/_catalog").json() == {"repositories": [own]}
        stand.client("iam").delete_access_key(UserName="user71", AccessKeyId=keys.access_key_id)
        assert mine.get(f"/v2/{own}/manifests/v1").status_code == 401


def test_a_token_ends_after_twelve_hours(tmp_path: Path) -> None:
    tokens, now = Tokens(tmp_path), time.time()

    def header(issued: float) -> str:
        return "Basic " + base64.b64encode(f"AWS:{tokens.issue('AKIA', now=issued)[0]}".encode()).decode()

    assert tokens.key_of(header(now - 11.9 * 3600)) == "AKIA"
    with pytest.raises(BadToken, match="has expired"):
        tokens.key_of(header(now - 12.1 * 3600))


def test_an_unknown_repository_is_named(stand: Running, client: Client) -> None:
    answer = client.post("/v2/never/made/blobs/uploads/")
    assert code(answer) == (404, "NAME_UNKNOWN")
    assert "The repository with name 'never/made' does not exist" in answer.text
    assert code(client.get("/v2/UPPER/tags/list")) == (400, "NAME_INVALID")


def test_images_and_uploads_survive_kill(tmp_path: Path) -> None:
    made, layer = image({"a": b"1"}), b"x" * 3_000_000
    with running(tmp_path / "state") as stand:
        name = repository(stand, "kept")
        with Client(stand) as client:
            client.push(name, made, "v1")
            location = client.post(f"/v2/{name}/blobs/uploads/").headers["location"]
            client.patch(location, content=layer[:2_000_000])
            password = client.password
        stand.kill()
    with running(tmp_path / "state") as stand:
        again = httpx.Client(base_url=stand.endpoint, auth=("AWS", password))
        assert again.get("/v2/kept/manifests/v1").content == made.manifest()
        assert again.get(f"/v2/kept/blobs/{digest_of(made.layers[0])}").content == made.layers[0]
        assert again.get(location).headers["range"] == "0-1999999"
        again.patch(location, content=layer[2_000_000:])
        assert again.put(location, params={"digest": digest_of(layer)}).status_code == 201
        again.close()


def test_the_sweep_removes_what_nothing_needs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for content in (b"needed", b"unused"):
        (store.uploads / "u").write_bytes(content)
        store.add_blob("r/a", digest_of(content), store.uploads / "u")
    store.mount("r/b", digest_of(b"needed"), "r/a")
    store._db.execute("INSERT INTO needs VALUES ('r/b', 'sha256:m', ?)", (digest_of(b"needed"),))
    assert store.sweep() == 0
    assert store.sweep(unused_for=-1) == 1
    assert store.path(digest_of(b"needed")).read_bytes() == b"needed"
    assert not store.path(digest_of(b"unused")).exists()
    assert store.size("r/a", digest_of(b"needed")) is None
    store.close()


def test_a_damaged_index_is_set_aside_named_and_made_again(tmp_path: Path) -> None:
    made, other = image({"a": b"1"}), image({"a": b"2"}, name="other")
    with running(tmp_path / "state") as stand:
        name = repository(stand, "kept")
        with Client(stand) as client:
            for tag, what in {"v1": made, "gone": other, "v2": made}.items():
                client.push(name, what, tag)
            client.delete(f"/v2/{name}/manifests/gone")
            tags, password = client.get(f"/v2/{name}/tags/list").json(), client.password
        before = stand.client("ecr").describe_images(repositoryName=name)["imageDetails"]
        stand.kill()
    registry = tmp_path / "state" / "registry"
    file, log = registry / "index.sqlite", registry / "changes.jsonl"
    (registry / "index.sqlite-wal").unlink(missing_ok=True)
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    log.write_bytes(log.read_bytes() + b'\n["tag", "ap-north')  # killed while it wrote
    with running(tmp_path / "state") as stand:
        health = httpx.get(f"{stand.endpoint}/_awssim/health").json()
        assert [Path(path).name.partition(".damaged-")[0] for path in health["damaged"]] == ["index.sqlite"]
        assert Path(health["damaged"][0]).read_bytes()[16:] == b"\xff" * 5000
        with httpx.Client(base_url=stand.endpoint, auth=("AWS", password)) as again:
            assert again.get(f"/v2/{name}/tags/list").json() == tags == {"name": name, "tags": ["v1", "v2"]}
            assert again.get(f"/v2/{name}/manifests/v2").content == made.manifest()
            assert again.get(f"/v2/{name}/blobs/{digest_of(made.layers[0])}").content == made.layers[0]
        after = stand.client("ecr").describe_images(repositoryName=name)["imageDetails"]
        assert [{**item, "lastRecordedPullTime": None} for item in after] == [
            {**item, "lastRecordedPullTime": None} for item in before
        ]


def test_an_index_of_before_the_log_gets_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.uploads / "u").write_bytes(b"needed")
    store.add_blob("r/a", digest_of(b"needed"), store.uploads / "u")
    store.close()
    (tmp_path / "changes.jsonl").unlink()
    Store(tmp_path).close()
    (tmp_path / "index.sqlite").write_bytes(b"nothing of the kind" * 1000)
    store = Store(tmp_path)
    assert store.size("r/a", digest_of(b"needed")) == 6
    assert store.sweep(unused_for=-1) == 0  # not beside a damaged index
    assert store.path(digest_of(b"needed")).read_bytes() == b"needed"
    store.close()


def test_the_grammar_of_names() -> None:
    assert split("/v2/a/b/blobs/uploads/") == ("a/b", "uploads", "")
    assert split("/v2/a/blobs/uploads/blobs/uploads/x") == ("a/blobs/uploads", "uploads", "x") or split("/v2/a") is None
    assert split("/v2/a/manifests/v1") == ("a", "manifests", "v1")
    assert split("/v2/a") is None
    assert is_repository("mlops-training/user01/iris-api")
    for bad in ("A", "a", "a//b", "-ab", "a/", "a___b", "x" * 257):
        assert not is_repository(bad)
    assert is_tag("v1.0-x_y")
    assert not is_tag(".v")
    assert not is_digest("sha256:zz")
    assert LAYER.endswith("gzip")
