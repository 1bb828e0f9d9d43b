"""AdmissionReviews: what is answered to which request, and that the patch is one a server can apply."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest

from kubeflow_lite.objects import Object
from kubeflow_lite.poddefaults import review
from tests.kubeflow_lite.making import pod, pod_default


def request(given_pod: Object, **changes: Any) -> Object:
    return {
        "uid": "u-1",
        "operation": "CREATE",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "kubeflow-user01",
        "object": given_pod,
        **changes,
    }


def test_the_patch_gives_the_pod_its_poddefaults() -> None:
    given_pod = pod(labels={"access-mlflow": "true"})
    default = pod_default(
        selector={"matchLabels": {"access-mlflow": "true"}},
        env=[{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow-server:5000"}],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    response = review.answer(request(given_pod), [default])
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u-1", True, "JSONPatch")
    patched = jsonpatch.apply_patch(given_pod, json.loads(base64.b64decode(response["patch"])))
    assert patched["spec"]["containers"][0]["env"] == default["spec"]["env"]
    assert patched["spec"]["volumes"] == default["spec"]["volumes"]
    assert patched["metadata"]["annotations"] == {"poddefault.admission.kubeflow.org/poddefault-access-mlflow": "12"}


def test_no_match_is_allowed_without_a_patch() -> None:
    default = pod_default(selector={"matchLabels": {"access-mlflow": "true"}}, labels={"x": "y"})
    assert review.answer(request(pod()), [default]) == {"uid": "u-1", "allowed": True}


def test_a_conflict_is_refused_with_its_message() -> None:
    response = review.answer(request(pod(labels={"team": "blue"})), [pod_default(labels={"team": "red"})])
    assert response["allowed"] is False
    assert response["status"]["code"] == 403
    assert response["status"]["message"].startswith(
        "conflict occurred while applying poddefaults: access-mlflow on pod: train err: "
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "UPDATE"},
        {"subResource": "eviction"},
        {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
        {"object": pod(annotations={"poddefault.admission.kubeflow.org/exclude": "true"})},
        {"object": pod(annotations={"kubernetes.io/config.mirror": "x"})},
    ],
)
def test_what_is_none_of_its_business(changes: dict[str, Any]) -> None:
    assert not review.wants(request(pod(), **changes))


def test_a_review_carries_its_version() -> None:
    assert review.review({"uid": "1"}) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "1"},
    }
