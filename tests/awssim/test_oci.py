"""The OCI Distribution Specification 1.1, requirement by requirement, as its conformance suite asks; what ECR does otherwise is said."""

import json
from typing import Any

import httpx
import pytest

from tests.awssim.images import OCI, Client, digest_of, image
from tests.awssim.running import Running

NAME = "oci/conformance"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
ABSENT = "sha256:" + "0" * 64
CHUNKS = [b"a" * 300_000, b"b" * 300_000, b"c" * 7]
WHOLE = b"".join(CHUNKS)


@pytest.fixture(scope="module")
def client(stand: Running) -> Any:
    for name in (NAME, f"{NAME}-2", f"{NAME}-empty"):
        stand.client("ecr").create_repository(repositoryName=name)
    with Client(stand) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["errors"][0]
    assert set(error) >= {"code", "message"}
    return answer.status_code, error["code"]


def begin(client: Client, name: str = NAME) -> str:
    begun = client.post(f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})
    assert begun.status_code == 202
    return str(begun.headers["location"])


def chunk(client: Client, location: str, start: int, piece: bytes) -> httpx.Response:
    headers = {"Content-Range": f"{start}-{start + len(piece) - 1}", "Content-Type": "application/octet-stream"}
    return client.patch(location, content=piece, headers=headers)


def test_the_registry_says_that_it_is_one(client: Client) -> None:
    answer = client.get("/v2/")
    assert (answer.status_code, answer.headers["docker-distribution-api-version"]) == (200, "registry/2.0")


# -- pull


def test_what_is_not_there_is_404_and_head_has_no_body(client: Client) -> None:
    for path, error in (("blobs", "BLOB_UNKNOWN"), ("manifests", "MANIFEST_UNKNOWN")):
        assert code(client.get(f"/v2/{NAME}/{path}/{ABSENT}")) == (404, error)
        head = client.head(f"/v2/{NAME}/{path}/{ABSENT}")
        assert (head.status_code, head.content) == (404, b"")
    assert code(client.get(f"/v2/{NAME}/manifests/no-such-tag")) == (404, "MANIFEST_UNKNOWN")
    assert code(client.get("/v2/never/made/manifests/v1")) == (404, "NAME_UNKNOWN")
    assert code(client.get(f"/v2/{NAME}/blobs/sha256:short")) == (404, "BLOB_UNKNOWN")


def test_a_head_says_what_a_get_would(client: Client) -> None:
    client.push(NAME, made := image({"a": b"head"}), "head")
    for path in (f"manifests/{digest_of(made.manifest())}", "manifests/head", f"blobs/{digest_of(made.layers[0])}"):
        got, head = client.get(f"/v2/{NAME}/{path}"), client.head(f"/v2/{NAME}/{path}")
        assert (head.status_code, head.content) == (200, b"")
        for header in ("docker-content-digest", "content-length", "content-type"):
            assert head.headers[header] == got.headers[header]
        assert digest_of(got.content) == head.headers["docker-content-digest"]


@pytest.mark.parametrize(
    ("asked", "status", "content", "told"),
    [
        ("bytes=0-3", 206, WHOLE[:4], "bytes 0-3/600007"),
        ("bytes=-7", 206, CHUNKS[2], "bytes 600000-600006/600007"),
        ("bytes=600000-", 206, CHUNKS[2], "bytes 600000-600006/600007"),
        ("bytes=600000-999999", 206, CHUNKS[2], "bytes 600000-600006/600007"),
        ("bytes=600007-", 416, None, "bytes */600007"),
        ("bytes=x-y", 416, None, "bytes */600007"),
    ],
)
def test_a_blob_in_ranges(client: Client, asked: str, status: int, content: bytes | None, told: str) -> None:
    client.send_blob(NAME, WHOLE)
    got = client.get(f"/v2/{NAME}/blobs/{digest_of(WHOLE)}", headers={"Range": asked})
    assert (got.status_code, got.headers["content-range"]) == (status, told)
    assert content is None or got.content == content


# -- push


def test_a_blob_in_one_request_in_two_and_in_chunks(client: Client) -> None:
    one = client.post(f"/v2/{NAME}/blobs/uploads/", params={"digest": digest_of(b"one")}, content=b"one")
    two = client.send_blob(NAME, b"two")
    location, start = begin(client), 0
    for piece in CHUNKS:
        sent = chunk(client, location, start, piece)
        start += len(piece)
        assert (sent.status_code, sent.headers["range"]) == (202, f"0-{start - 1}")
        location = sent.headers["location"]
    three = client.put(location, params={"digest": digest_of(WHOLE)})
    for done, content in ((one, b"one"), (two, b"two"), (three, WHOLE)):
        assert (done.status_code, done.headers["docker-content-digest"]) == (201, digest_of(content))
        assert client.get(done.headers["location"]).content == content


def test_the_last_chunk_may_come_with_the_end(client: Client) -> None:
    location, content = begin(client), b"first" + b"last"
    chunk(client, location, 0, b"first")
    headers = {"Content-Range": "5-8"}
    done = client.put(location, params={"digest": digest_of(content)}, content=b"last", headers=headers)
    assert done.status_code == 201


def test_a_chunk_out_of_order_is_416_and_the_upload_goes_on_where_it_was(client: Client) -> None:
    location = begin(client)
    assert code(chunk(client, location, 5, b"early")) == (416, "BLOB_UPLOAD_INVALID")
    chunk(client, location, 0, CHUNKS[0])
    for start in (0, 299_999, 300_001):
        again = chunk(client, location, start, CHUNKS[1])
        assert (code(again), again.headers["range"]) == ((416, "BLOB_UPLOAD_INVALID"), "0-299999")
    at = client.get(location)
    assert (at.status_code, at.headers["range"], at.headers["location"]) == (204, "0-299999", location)
    for start, piece in ((300_000, CHUNKS[1]), (600_000, CHUNKS[2])):
        assert chunk(client, location, start, piece).status_code == 202
    assert client.put(location, params={"digest": digest_of(WHOLE)}).status_code == 201


def test_an_upload_that_is_given_up_and_one_that_never_was(client: Client) -> None:
    location = begin(client)
    assert client.delete(location).status_code == 204
    for answer in (client.get(location), client.patch(location, content=b"x"), client.delete(location)):
        assert code(answer) == (404, "BLOB_UPLOAD_UNKNOWN")
    foreign = begin(client, f"{NAME}-2").replace(f"{NAME}-2", NAME)
    assert code(client.patch(foreign, content=b"x")) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert client.get(f"/v2/{NAME}/blobs/uploads/..%2f..%2froot.json").status_code == 404


def test_digests_that_are_wrong(client: Client) -> None:
    for digest in (ABSENT, "sha256:short", "md5:" + "0" * 32, ""):
        assert code(client.put(begin(client), params={"digest": digest}, content=b"x")) == (400, "DIGEST_INVALID")


def test_a_mount(client: Client) -> None:
    client.send_blob(NAME, content := b"to be mounted")
    place, other = digest_of(content), f"/v2/{NAME}-2/blobs"
    done = client.post(f"{other}/uploads/", params={"mount": place, "from": NAME})
    assert (done.status_code, done.headers["location"]) == (201, f"{other}/{place}")
    assert client.get(f"{other}/{place}").content == content
    for params in ({"mount": ABSENT, "from": NAME}, {"mount": place, "from": "never/made"}, {"mount": place}):
        begun = client.post(f"/v2/{NAME}-empty/blobs/uploads/", params=params)
        assert (begun.status_code, "/blobs/uploads/" in begun.headers["location"]) == (202, True)


def test_a_manifest_by_tag_and_by_digest(client: Client) -> None:
    made = image({"a": b"by digest"})
    for content in (made.config, *made.layers):
        client.send_blob(NAME, content)
    digest = digest_of(made.manifest())
    for reference in (digest, "by-tag"):
        put = client.put_manifest(NAME, made.manifest(), reference)
        assert (put.status_code, put.headers["docker-content-digest"]) == (201, digest)
        assert client.get(put.headers["location"]).content == made.manifest()


def test_an_artifact_without_layers_of_its_own_kind(client: Client) -> None:
    client.send_blob(NAME, b"{}")
    empty = {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2}
    kind = "application/vnd.example+type"
    value = {"schemaVersion": 2, "mediaType": OCI, "artifactType": kind, "config": empty, "layers": [empty]}
    assert client.put_manifest(NAME, json.dumps(value).encode(), "artifact").status_code == 201


# -- content discovery


@pytest.fixture(scope="module")
def tags(client: Client) -> list[str]:
    made, names = image({"a": b"tags"}), [f"t{number}" for number in (3, 1, 5, 2, 4)]
    for content in (made.config, *made.layers):
        client.send_blob(f"{NAME}-2", content)
    for name in names:
        assert client.put_manifest(f"{NAME}-2", made.manifest(), name).status_code == 201
    return sorted(names)


def test_tags_in_order_and_in_pages(client: Client, tags: list[str]) -> None:
    path = f"/v2/{NAME}-2/tags/list"
    assert client.get(path).json() == {"name": f"{NAME}-2", "tags": tags}
    seen, address = [], f"{path}?n=2"
    while address:
        page = client.get(address)
        seen.append(page.json()["tags"])
        address = page.headers.get("link", "").partition(">")[0].removeprefix("<")
    assert seen == [tags[:2], tags[2:4], tags[4:]]
    for query, expected in (
        ("last=t2", tags[2:]),
        ("last=t25", tags[2:]),
        ("last=zz", []),
        ("n=0", []),
        ("n=99", tags),
    ):
        page = client.get(f"{path}?{query}")
        assert (page.json()["tags"], "link" in page.headers) == (expected, False)
    assert client.get(f"{path}?n=-1").status_code == 400


def test_an_empty_repository_has_no_tags_and_one_that_is_not_there_is_404(client: Client) -> None:
    assert client.get(f"/v2/{NAME}-empty/tags/list").json() == {"name": f"{NAME}-empty", "tags": []}
    assert code(client.get("/v2/never/made/tags/list")) == (404, "NAME_UNKNOWN")


def test_referrers_with_and_without_a_filter(client: Client) -> None:
    client.push(NAME, made := image({"a": b"subject"}), "subject")
    subject = {"mediaType": OCI, "digest": digest_of(made.manifest()), "size": len(made.manifest())}
    path = f"/v2/{NAME}/referrers/{subject['digest']}"
    empty = client.get(path)
    assert (empty.status_code, empty.headers["content-type"]) == (200, INDEX)
    assert empty.json() == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    pushed: dict[str, httpx.Response] = {}
    for kind in ("a", "b"):
        artifact, kind_of = image({"of": kind.encode()}, kind), f"application/vnd.example.{kind}"
        more = {"subject": subject, "artifactType": kind_of, "annotations": {"kind": kind}}
        pushed[kind_of] = client.push(NAME, artifact, digest_of(artifact.manifest(**more)), **more)
        assert (pushed[kind_of].status_code, pushed[kind_of].headers["oci-subject"]) == (201, subject["digest"])
    plain = image({"of": b"plain"}, "plain")
    client.push(NAME, plain, digest_of(plain.manifest(subject=subject)), subject=subject)
    listed = client.get(path).json()["manifests"]
    assert {item["artifactType"] for item in listed} == {*pushed, "application/vnd.oci.image.config.v1+json"}
    for item in listed:
        content = client.get(f"/v2/{NAME}/manifests/{item['digest']}").content
        assert (item["mediaType"], item["size"]) == (OCI, len(content))
        assert item.get("annotations") == json.loads(content).get("annotations")
    one = client.get(path, params={"artifactType": "application/vnd.example.b"})
    assert [item["annotations"] for item in one.json()["manifests"]] == [{"kind": "b"}]
    assert one.headers["oci-filters-applied"] == "artifactType"
    assert client.get(f"/v2/{NAME}/referrers/{ABSENT}").json()["manifests"] == []
    assert code(client.get(f"/v2/{NAME}/referrers/no-digest")) == (400, "DIGEST_INVALID")


def test_a_subject_may_come_later(client: Client) -> None:
    made = image({"a": b"not pushed"})
    subject = {"mediaType": OCI, "digest": digest_of(made.manifest()), "size": len(made.manifest())}
    artifact = image({"a": b"signature of it"})
    assert client.push(NAME, artifact, "signature", subject=subject).headers["oci-subject"] == subject["digest"]
    assert len(client.get(f"/v2/{NAME}/referrers/{subject['digest']}").json()["manifests"]) == 1


# -- content management


def test_tags_manifests_and_blobs_are_deleted(client: Client) -> None:
    made = image({"a": b"deleted"})
    for tag in ("gone", "stays"):
        client.push(NAME, made, tag)
    digest = digest_of(made.manifest())
    assert client.delete(f"/v2/{NAME}/manifests/gone").status_code == 202
    assert client.get(f"/v2/{NAME}/manifests/gone").status_code == 404
    assert client.get(f"/v2/{NAME}/manifests/{digest}").status_code == 200
    assert client.delete(f"/v2/{NAME}/manifests/{digest}").status_code == 202
    for reference in (digest, "stays"):
        assert code(client.get(f"/v2/{NAME}/manifests/{reference}")) == (404, "MANIFEST_UNKNOWN")
        assert code(client.delete(f"/v2/{NAME}/manifests/{reference}")) == (404, "MANIFEST_UNKNOWN")
    blob = f"/v2/{NAME}/blobs/{digest_of(made.layers[0])}"
    assert [client.delete(blob).status_code, client.get(blob).status_code, client.delete(blob).status_code] == [
        202,
        404,
        404,
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "tags/list", 405), ("POST", "manifests/v1", 405), ("PATCH", f"blobs/{ABSENT}", 405),
        ("DELETE", "tags/list", 405), ("GET", "blobs", 404), ("GET", "nothing/here", 404), ("GET", "", 404),
    ],
)  # fmt: skip
def test_methods_and_pages_that_are_not_of_the_specification(
    client: Client, method: str, path: str, status: int
) -> None:
    assert code(client.request(method, f"/v2/{NAME}/{path}")) == (status, "UNSUPPORTED")
