"""Manifests keep the lab's image names; a cluster that pulls from a registry gets them by its own."""

from __future__ import annotations

from typing import Any

from lab.kube import images


def pods(image: str) -> dict[str, object]:
    containers = [{"name": "a", "image": image}, {"name": "none"}]
    template = {"spec": {"containers": containers, "initContainers": [{"name": "i", "image": "busybox"}]}}
    return {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}, "data": {"image": image}}


def test_every_container_and_nothing_else() -> None:
    before = pods("ops-demo:training")
    found = images.renamed(before, lambda tag: f"r/{tag}" if tag.startswith("ops") else tag)
    wanted: Any = pods("r/ops-demo:training")["spec"]
    wanted["jobTemplate"]["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": images.PULL_SECRET}]
    assert found == pods("ops-demo:training") | {"spec": wanted}
    assert before == pods("ops-demo:training"), "what was given is not changed"


def test_nothing_to_rename_is_the_same_object() -> None:
    before = pods("x")
    assert images.renamed(before, None) is before


def test_pods_without_an_image_of_the_registrys_name_no_secret() -> None:
    assert images.renamed(pods("busybox"), lambda tag: tag) == pods("busybox")


def test_secrets_of_others_stay() -> None:
    pod = {"spec": {"containers": [{"image": "a"}], "imagePullSecrets": [{"name": "theirs"}]}}
    found = images.renamed(pod, lambda tag: f"r/{tag}")
    assert found["spec"]["imagePullSecrets"] == [{"name": "theirs"}, {"name": images.PULL_SECRET}]
