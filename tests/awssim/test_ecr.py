"""ECR's API tells the truth about what was pushed: tags, digests, sizes, scans, lifecycle."""

import json
import time
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from awssim.registry import lifecycle
from awssim.registry.debian import older
from awssim.registry.scan import advisories, order
from awssim.registry.store import Image
from tests.awssim.images import OCI, Client, Made, digest_of, image
from tests.awssim.running import Running


@pytest.fixture
def client(stand: Running) -> Any:
    with Client(stand) as client:
        yield client


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def pushed(
    stand: Running, client: Client, name: str, *tags: str, made: Made | None = None, **more: Any
) -> tuple[Any, Made]:
    ecr, made = stand.client("ecr"), made or image({"a": b"1"}, name)
    ecr.create_repository(repositoryName=name, **more)
    for tag in tags:
        assert client.push(name, made, tag).status_code == 201
    return ecr, made


def test_all_tags_of_an_image_are_listed(stand: Running, client: Client) -> None:
    ecr, made = pushed(stand, client, "listed", "v1", "latest")
    digest = digest_of(made.manifest())
    listed = ecr.list_images(repositoryName="listed")["imageIds"]
    assert listed == [{"imageDigest": digest, "imageTag": tag} for tag in ("latest", "v1")]
    detail = ecr.describe_images(repositoryName="listed")["imageDetails"][0]
    assert (detail["imageTags"], detail["imageSizeInBytes"]) == (["latest", "v1"], made.size)
    assert (detail["imageManifestMediaType"], detail["artifactMediaType"]) == (
        OCI,
        "application/vnd.oci.image.config.v1+json",
    )
    assert abs(detail["imagePushedAt"].timestamp() - time.time()) < 60
    page = ecr.list_images(repositoryName="listed", maxResults=1)
    assert len(page["imageIds"]) == 1
    assert ecr.list_images(repositoryName="listed", nextToken=page["nextToken"])["imageIds"][0]["imageTag"] == "v1"


def test_an_image_that_is_not_there_is_said_so(stand: Running, client: Client) -> None:
    ecr, _ = pushed(stand, client, "missing")
    assert (
        refused(ecr.describe_images, repositoryName="missing", imageIds=[{"imageTag": "no"}])
        == "ImageNotFoundException"
    )
    got = ecr.batch_get_image(repositoryName="missing", imageIds=[{"imageTag": "no"}])
    assert (got["images"], got["failures"][0]["failureCode"]) == ([], "ImageNotFound")
    assert refused(ecr.list_images, repositoryName="nowhere") == "RepositoryNotFoundException"


def test_deleting_a_tag_leaves_the_image_until_its_last(stand: Running, client: Client) -> None:
    ecr, made = pushed(stand, client, "delete", "v1", "v2")
    digest = digest_of(made.manifest())
    gone = ecr.batch_delete_image(repositoryName="delete", imageIds=[{"imageTag": "v1"}])
    assert gone["imageIds"] == [{"imageDigest": digest, "imageTag": "v1"}]
    assert client.get("/v2/delete/manifests/v2").status_code == 200
    assert refused(ecr.delete_repository, repositoryName="delete") == "RepositoryNotEmptyException"
    ecr.batch_delete_image(repositoryName="delete", imageIds=[{"imageTag": "v2"}])
    assert ecr.list_images(repositoryName="delete")["imageIds"] == []
    assert client.get(f"/v2/delete/manifests/{digest}").status_code == 404
    ecr.delete_repository(repositoryName="delete")


def test_an_immutable_tag_stays(stand: Running, client: Client) -> None:
    ecr, made = pushed(stand, client, "immutable", "v1", imageTagMutability="IMMUTABLE")
    other = image({"b": b"2"})
    answer = client.push("immutable", other, "v1")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "TAG_INVALID")
    assert client.get("/v2/immutable/manifests/v1").content == made.manifest()
    put = {"repositoryName": "immutable", "imageManifest": other.manifest().decode(), "imageTag": "v1"}
    assert refused(ecr.put_image, **put) == "ImageTagAlreadyExistsException"


def test_a_tag_moves_and_leaves_an_untagged_image(stand: Running, client: Client) -> None:
    ecr, first = pushed(stand, client, "moving", "v1")
    client.push("moving", image({"b": b"2"}), "v1")
    untagged = ecr.list_images(repositoryName="moving", filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": digest_of(first.manifest())}]
    assert "imageTags" not in ecr.describe_images(repositoryName="moving", imageIds=untagged)["imageDetails"][0]


def test_put_image_retags_what_is_there(stand: Running, client: Client) -> None:
    ecr, made = pushed(stand, client, "retag", "v1")
    got = ecr.batch_get_image(repositoryName="retag", imageIds=[{"imageTag": "v1"}])["images"][0]
    assert got["imageManifest"].encode() == made.manifest()
    ecr.put_image(repositoryName="retag", imageManifest=got["imageManifest"], imageTag="v2")
    assert client.get("/v2/retag/tags/list").json()["tags"] == ["v1", "v2"]
    again = {"repositoryName": "retag", "imageManifest": got["imageManifest"], "imageTag": "v2"}
    assert refused(ecr.put_image, **again) == "ImageAlreadyExistsException"


def test_ecrs_own_layer_calls(stand: Running, client: Client) -> None:
    ecr, made = pushed(stand, client, "layers")
    layer, name = made.layers[0], {"repositoryName": "layers"}
    upload = ecr.initiate_layer_upload(**name)["uploadId"]
    ecr.upload_layer_part(**name, uploadId=upload, partFirstByte=0, partLastByte=len(layer) - 1, layerPartBlob=layer)
    ecr.complete_layer_upload(**name, uploadId=upload, layerDigests=[digest_of(layer)])
    checked = ecr.batch_check_layer_availability(**name, layerDigests=[digest_of(layer), digest_of(b"no")])["layers"]
    assert [item["layerAvailability"] for item in checked] == ["AVAILABLE", "UNAVAILABLE"]
    address = ecr.get_download_url_for_layer(**name, layerDigest=digest_of(layer))["downloadUrl"]
    assert httpx.get(address).content == layer
    assert httpx.get(address[:-1] + ("0" if address[-1] != "0" else "1")).status_code == 403
    assert (
        refused(ecr.put_image, **name, imageManifest=made.manifest().decode(), imageTag="v1")
        == "LayersNotFoundException"
    )


@pytest.mark.parametrize("name", ["Upper", "a//b", "-x", "under__score_"])
def test_a_repositorys_name_is_checked(stand: Running, name: str) -> None:
    assert refused(stand.client("ecr").create_repository, repositoryName=name) == "InvalidParameterException"


def scanned(ecr: Any, name: str, tag: str) -> dict[str, Any]:
    """The findings, once the scan has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found: dict[str, Any] = ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageTag": tag})
        if found["imageScanStatus"]["status"] != "IN_PROGRESS":
            return found
    raise AssertionError("the scan did not end")


def test_a_scan_finds_what_is_in_the_image_and_nothing_else(stand: Running, client: Client) -> None:
    site = "usr/lib/python3.11/site-packages"
    files = {f"{site}/Jinja2-3.1.3.dist-info/METADATA": b"", f"{site}/requests-2.32.3.dist-info/METADATA": b""}
    ecr, _ = pushed(stand, client, "scan", "v1", made=image(files), imageScanningConfiguration={"scanOnPush": True})
    found = scanned(ecr, "scan", "v1")
    assert found["imageScanStatus"]["status"] == "COMPLETE"
    assert [item["name"] for item in found["imageScanFindings"]["findings"]] == ["CVE-2024-34064"]
    assert found["imageScanFindings"]["findingSeverityCounts"] == {"MEDIUM": 1}
    detail = ecr.describe_images(repositoryName="scan")["imageDetails"][0]
    assert detail["imageScanFindingsSummary"]["findingSeverityCounts"] == {"MEDIUM": 1}


def test_an_image_that_cannot_be_scanned_is_said_so(stand: Running, client: Client) -> None:
    ecr, _ = pushed(stand, client, "unsupported", "v1")
    image_id = {"imageTag": "v1"}
    assert (
        refused(ecr.describe_image_scan_findings, repositoryName="unsupported", imageId=image_id)
        == "ScanNotFoundException"
    )
    assert (
        ecr.start_image_scan(repositoryName="unsupported", imageId=image_id)["imageScanStatus"]["status"]
        == "IN_PROGRESS"
    )
    status = scanned(ecr, "unsupported", "v1")["imageScanStatus"]
    assert status["status"] == "UNSUPPORTED_IMAGE"
    assert "no Python packages were found" in status["description"]


STATUS = """Package: libc6
Status: install ok installed
Source: glibc
Version: 2.36-9+deb12u4

Package: curl
Status: install ok installed
Version: 7.88.1-10+deb12u14

Package: git
Status: deinstall ok config-files
Version: 1:2.39.2-1

Package: zlib1g
Status: install ok installed
Source: zlib (1:1.2.13.dfsg-1)
Version: 1:1.2.13.dfsg-1
"""


def debian_image(release: str) -> dict[str, bytes]:
    text = f'PRETTY_NAME="Debian GNU/Linux"\nVERSION_ID="{release}"\nID=debian\n'
    return {"usr/lib/os-release": text.encode(), "var/lib/dpkg/status": STATUS.encode()}


def test_a_scan_finds_the_debian_fixes_an_image_lacks(stand: Running, client: Client) -> None:
    ecr, _ = pushed(
        stand, client, "debian", "v1", made=image(debian_image("12")), imageScanningConfiguration={"scanOnPush": True}
    )
    report = scanned(ecr, "debian", "v1")
    found = {item["name"]: item for item in report["imageScanFindings"]["findings"]}
    assert "CVE-2024-2961" in found, "the iconv bug, fixed in glibc 2.36-9+deb12u6 or later"
    assert "CVE-2023-4911" not in found, "it is fixed in glibc 2.36-9+deb12u3, which is older than the image's"
    assert {item["attributes"][0]["value"] for item in found.values()} == {"glibc"}, "curl is new, git not installed"
    assert "source packages of Debian 12" in report["imageScanStatus"]["description"]
    assert set(report["imageScanFindings"]["findingSeverityCounts"]) == {"UNDEFINED"}


def test_another_release_is_not_judged_by_the_list(stand: Running, client: Client) -> None:
    ecr, _ = pushed(
        stand,
        client,
        "old-debian",
        "v1",
        made=image(debian_image("11")),
        imageScanningConfiguration={"scanOnPush": True},
    )
    status = scanned(ecr, "old-debian", "v1")["imageScanStatus"]
    assert status["status"] == "UNSUPPORTED_IMAGE"
    assert "its Debian packages are of release 11, not 12" in status["description"]


ORDER = [
    "1.0~rc1", "1.0", "1.0-1", "1.0-1+deb12u1", "1.0-1+deb12u10", "1.0a", "1.0+b", "1.0.1", "1.2~~", "1.2~", "1.2", "1.9", "1.10", "1:0.1",
]  # fmt: skip


def test_debian_versions_in_dpkgs_order() -> None:
    for index, version in enumerate(ORDER):
        assert not older(version, version)
        assert all(older(earlier, version) and not older(version, earlier) for earlier in ORDER[:index]), version


def test_the_advisories_are_well_formed() -> None:
    date, known = advisories()
    assert time.strptime(date, "%Y-%m-%d")
    assert all(item.name.startswith("CVE-") and order(item.since or "0") < order(item.fixed) for item in known)
    assert order("3.1.3") < order("3.1.10") < order("3.2rc1")


def rule(priority: int, **selection: Any) -> dict[str, Any]:
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}


UNTAGGED_WEEK = rule(1, tagStatus="untagged", countType="sinceImagePushed", countUnit="days", countNumber=7)
KEEP_TWO = rule(2, tagStatus="tagged", tagPrefixList=["v"], countType="imageCountMoreThan", countNumber=2)


def aged(name: str, days: float, *tags: str) -> Image:
    return Image(
        repository="r/a", digest=name, media_type=OCI, artifact_type="", config_type="", subject="", size=1,
        pushed_at=1e9 - days * 86400, pulled_at=None, content=b"", tags=tags,
    )  # fmt: skip


def test_lifecycle_rules_expire_what_they_say() -> None:
    images = [
        aged("old", 9),
        aged("young", 1),
        aged("v1", 3, "v1"),
        aged("v2", 2, "v2"),
        aged("v3", 1, "v3"),
        aged("x", 99, "x"),
    ]
    gone = lifecycle.expired(json.dumps({"rules": [KEEP_TWO, UNTAGGED_WEEK]}), images, 1e9)
    assert [(item.image.digest, item.priority) for item in gone] == [("old", 1), ("v1", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", '{"rules": []}', json.dumps({"rules": [{**UNTAGGED_WEEK, "action": {"type": "keep"}}]}),
        json.dumps({"rules": [UNTAGGED_WEEK, UNTAGGED_WEEK]}),
        json.dumps({"rules": [rule(1, tagStatus="tagged", countType="imageCountMoreThan", countNumber=1)]}),
        json.dumps({"rules": [rule(1, tagStatus="any", countType="sinceImagePushed", countNumber=1)]}),
        json.dumps({"rules": [rule(1, tagStatus="any", countType="imageCountMoreThan", countNumber=0)]}),
    ],
)  # fmt: skip
def test_a_malformed_lifecycle_policy_is_refused(stand: Running, client: Client, text: str) -> None:
    with pytest.raises(lifecycle.InvalidPolicy):
        lifecycle.rules(text)
    if text == "{}":
        ecr, _ = pushed(stand, client, "bad-policy")
        assert (
            refused(ecr.put_lifecycle_policy, repositoryName="bad-policy", lifecyclePolicyText=text * 60)
            == "InvalidParameterException"
        )


def test_a_lifecycle_policy_is_previewed_and_applied(stand: Running, client: Client) -> None:
    ecr, _ = pushed(stand, client, "expire")
    for number in range(4):
        client.push("expire", image({"n": str(number).encode()}), f"v{number}")
    text = json.dumps({"rules": [KEEP_TWO]})
    ecr.start_lifecycle_policy_preview(repositoryName="expire", lifecyclePolicyText=text)
    preview = ecr.get_lifecycle_policy_preview(repositoryName="expire")
    assert preview["summary"]["expiringImageTotalCount"] == 2
    assert [item["imageTags"] for item in preview["previewResults"]] == [["v1"], ["v0"]]
    assert len(ecr.list_images(repositoryName="expire")["imageIds"]) == 4
    ecr.put_lifecycle_policy(repositoryName="expire", lifecyclePolicyText=text)
    assert [item["imageTag"] for item in ecr.list_images(repositoryName="expire")["imageIds"]] == ["v2", "v3"]


def test_repositories_come_in_pages(stand: Running, client: Client) -> None:
    ecr, _ = pushed(stand, client, "paged-b")
    pushed(stand, client, "paged-a")
    pages = [
        page["repositories"]
        for page in ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1})
    ]
    names = [item["repositoryName"] for page in pages for item in page]
    assert all(len(page) == 1 for page in pages)
    assert names == sorted(names)
    assert {"paged-a", "paged-b"} <= set(names)


@pytest.mark.parametrize("text", ["x", "{}", '{"Statement": [{"Effect": "Allow", "Action": "ecr:*"}]}'])
def test_a_malformed_repository_policy_is_refused(stand: Running, client: Client, text: str) -> None:
    ecr = stand.client("ecr")
    if not ecr.describe_repositories()["repositories"]:
        pushed(stand, client, "with-policy")
    name = ecr.describe_repositories()["repositories"][0]["repositoryName"]
    assert refused(ecr.set_repository_policy, repositoryName=name, policyText=text) == "InvalidParameterException"


def test_mutability_with_exceptions(stand: Running, client: Client) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "latest*"}]
    kind: dict[str, Any] = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    }
    ecr, _ = pushed(stand, client, "excepted", "latest-1", "v1", **kind)
    (told,) = ecr.describe_repositories(repositoryNames=["excepted"])["repositories"]
    assert {name: told[name] for name in kind} == kind
    other = image({"b": b"2"})
    assert [client.push("excepted", other, tag).status_code for tag in ("latest-1", "v1")] == [201, 400]
    turned = {**kind, "imageTagMutability": "MUTABLE_WITH_EXCLUSION"}
    assert (
        ecr.put_image_tag_mutability(repositoryName="excepted", **turned)["imageTagMutability"]
        == (turned["imageTagMutability"])
    )
    third = image({"c": b"3"})
    assert [client.push("excepted", third, tag).status_code for tag in ("latest-1", "v1")] == [400, 201]
    for bad in (
        {"imageTagMutability": "IMMUTABLE", "imageTagMutabilityExclusionFilters": filters},
        {"imageTagMutability": "MUTABLE_WITH_EXCLUSION"},
        {**kind, "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a*b*c*"}]},
        {"imageTagMutability": "SOMETIMES"},
    ):
        assert refused(ecr.put_image_tag_mutability, repositoryName="excepted", **bad) == "InvalidParameterException"


def test_referrers_by_ecrs_own_call(stand: Running, client: Client) -> None:
    ecr, made = pushed(stand, client, "referred", "v1")
    subject = {"mediaType": OCI, "digest": digest_of(made.manifest()), "size": len(made.manifest())}
    client.push("referred", image({"s": b"1"}), "sig", subject=subject, artifactType="application/vnd.example.sig")
    call = {"repositoryName": "referred", "subjectId": {"imageDigest": subject["digest"]}}
    (found,) = ecr.list_image_referrers(**call)["referrers"]
    assert (found["artifactType"], found["artifactStatus"]) == ("application/vnd.example.sig", "ACTIVE")
    assert ecr.list_image_referrers(**call, filter={"artifactTypes": ["application/other"]})["referrers"] == []


def test_the_registry_as_a_whole(stand: Running, client: Client) -> None:
    ecr, _ = pushed(stand, client, "whole", imageScanningConfiguration={"scanOnPush": True})
    assert refused(ecr.get_registry_policy) == "RegistryPolicyNotFoundException"
    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"]["scanType"] == "BASIC"
    told = ecr.batch_get_repository_scanning_configuration(repositoryNames=["whole", "never-made"])
    assert [item["scanFrequency"] for item in told["scanningConfigurations"]] == ["SCAN_ON_PUSH"]
    assert [item["failureCode"] for item in told["failures"]] == ["REPOSITORY_NOT_FOUND"]
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []
    assert ecr.get_account_setting(name="BASIC_SCAN_TYPE_VERSION")["value"] == "AWS_NATIVE"
    assert refused(ecr.put_registry_scanning_configuration, scanType="ENHANCED") == "ValidationException"
    for call in (ecr.get_repository_policy, ecr.delete_repository_policy):
        assert refused(call, repositoryName="whole") == "RepositoryPolicyNotFoundException"
    assert refused(ecr.list_images, repositoryName="whole", registryId="999999999999") == "RepositoryNotFoundException"
