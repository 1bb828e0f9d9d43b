"""Every rule of PodDefaults: which match, what is merged, what is a conflict and in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeflow_lite.objects import Object
from kubeflow_lite.poddefaults.applying import Refusal, apply, excluded, matching
from kubeflow_lite.poddefaults.selectors import selects
from tests.kubeflow_lite.making import pod, pod_default

HEAD = "conflict occurred while applying poddefaults: "


def applied(given_pod: Object, *defaults: Object) -> Object:
    before = copy.deepcopy((given_pod, defaults))
    result = apply(given_pod, defaults)
    assert (given_pod, defaults) == before, "apply must not change what it is given"
    assert not isinstance(result, Refusal), result
    return result


def refused(given_pod: Object, *defaults: Object) -> str:
    result = apply(given_pod, defaults)
    assert isinstance(result, Refusal)
    return result.message


class TestMatching:
    @pytest.mark.parametrize(
        ("selector", "labels", "matches"),
        [
            ({}, {}, True),
            ({}, {"a": "b"}, True),
            ({"matchLabels": {"access-mlflow": "true"}}, {"access-mlflow": "true", "app": "x"}, True),
            ({"matchLabels": {"access-mlflow": "true"}}, {"access-mlflow": "false"}, False),
            ({"matchLabels": {"access-mlflow": "true"}}, {}, False),
            ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]}, {"app": "y"}, True),
            ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}, {}, False),
            ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, {}, True),
            ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, {"app": "x"}, False),
            ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {"app": ""}, True),
            ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, {"app": ""}, False),
            ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"a": "1"}, False),
        ],
    )
    def test_selectors(self, selector: Object, labels: dict[str, str], matches: bool) -> None:
        assert selects(selector, labels) is matches

    def test_only_the_pods_own_namespace_counts(self) -> None:
        here, there = pod_default("here"), pod_default("there", "kubeflow-user02")
        assert matching(pod(), "kubeflow-user01", [here, there]) == [here]

    def test_excluded_and_mirror_pods(self) -> None:
        assert excluded(pod(annotations={"poddefault.admission.kubeflow.org/exclude": "true"}))
        assert not excluded(pod(annotations={"poddefault.admission.kubeflow.org/exclude": "yes"}))
        assert excluded(pod(annotations={"kubernetes.io/config.mirror": "hash"}))
        assert not excluded(pod())


class TestApplying:
    def test_no_poddefault_changes_nothing(self) -> None:
        assert applied(pod()) == pod()

    def test_the_mark_is_each_poddefaults_version(self) -> None:
        result = applied(
            pod(annotations={"mine": "kept"}), pod_default("a", version="3"), pod_default("b", version="9")
        )
        assert result["metadata"]["annotations"] == {
            "mine": "kept",
            "poddefault.admission.kubeflow.org/poddefault-a": "3",
            "poddefault.admission.kubeflow.org/poddefault-b": "9",
        }

    def test_env_goes_into_every_own_container_after_its_own(self) -> None:
        one, two = {"name": "one", "image": "i", "env": [{"name": "OWN", "value": "1"}]}, {"name": "two", "image": "i"}
        uri = {"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow-server:5000"}
        containers = applied(pod(one, two), pod_default(env=[uri]))["spec"]["containers"]
        assert containers[0]["env"] == [{"name": "OWN", "value": "1"}, uri]
        assert containers[1]["env"] == [uri]

    def test_env_and_mounts_stay_out_of_init_containers_and_sidecars(self) -> None:
        given_pod = pod(initContainers=[{"name": "init", "image": "i"}])
        default = pod_default(
            env=[{"name": "A", "value": "1"}],
            envFrom=[{"configMapRef": {"name": "c"}}],
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
            initContainers=[{"name": "added-init", "image": "i"}],
            sidecars=[{"name": "proxy", "image": "p"}],
        )
        spec = applied(given_pod, default)["spec"]
        assert spec["initContainers"] == [{"name": "init", "image": "i"}, {"name": "added-init", "image": "i"}]
        assert spec["containers"][1:] == [{"name": "proxy", "image": "p"}]
        assert spec["containers"][0]["env"] == [{"name": "A", "value": "1"}]
        assert spec["containers"][0]["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]

    def test_env_from_is_appended_unchecked(self) -> None:
        same = {"secretRef": {"name": "aws"}}
        given_pod = pod({"name": "main", "image": "i", "envFrom": [same]})
        result = applied(given_pod, pod_default("a", envFrom=[same]), pod_default("b", envFrom=[same]))
        assert result["spec"]["containers"][0]["envFrom"] == [same, same, same]

    def test_identical_entries_merge(self) -> None:
        env = [{"name": "A", "value": "1"}]
        volume, mount = [{"name": "v", "emptyDir": {}}], [{"name": "v", "mountPath": "/v"}]
        shared: dict[str, Any] = {
            "env": env,
            "volumes": volume,
            "volumeMounts": mount,
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "imagePullSecrets": [{"name": "ecr"}],
            "labels": {"team": "blue"},
            "annotations": {"note": "x"},
            "sidecars": [{"name": "s", "image": "i"}],
            "initContainers": [{"name": "n", "image": "i"}],
        }
        spec = applied(pod(), pod_default("a", **shared), pod_default("b", **shared))["spec"]
        assert spec["containers"][0]["env"] == env
        assert spec["volumes"] == volume
        assert spec["tolerations"] == shared["tolerations"]
        assert spec["imagePullSecrets"] == shared["imagePullSecrets"]
        assert [one["name"] for one in spec["containers"]] == ["main", "s"]
        assert [one["name"] for one in spec["initContainers"]] == ["n"]

    def test_the_last_service_account_and_automount_win(self) -> None:
        defaults = (
            pod_default("a", serviceAccountName="first", automountServiceAccountToken=True),
            pod_default("b", serviceAccountName="last", automountServiceAccountToken=False),
            pod_default("c"),
        )
        spec = applied(pod(serviceAccountName="own"), *defaults)["spec"]
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("last", False)

    def test_command_and_args_only_where_there_are_none_and_the_first_wins(self) -> None:
        own = {"name": "own", "image": "i", "command": ["mine"]}
        bare = {"name": "bare", "image": "i"}
        istio = {"name": "istio-proxy", "image": "i"}
        defaults = pod_default("a", command=["first"]), pod_default("b", command=["second"], args=["--x"])
        one, two, three = applied(pod(own, bare, istio), *defaults)["spec"]["containers"]
        assert (one["command"], one["args"]) == (["mine"], ["--x"])
        assert (two["command"], two["args"]) == (["first"], ["--x"])
        assert three == istio

    def test_labels_and_annotations_are_added(self) -> None:
        meta = applied(pod(labels={"app": "x"}), pod_default(labels={"team": "blue"}, annotations={"note": "y"}))[
            "metadata"
        ]
        assert meta["labels"] == {"app": "x", "team": "blue"}
        assert meta["annotations"]["note"] == "y"

    @given(st.lists(st.sampled_from("ABCD"), max_size=4), st.lists(st.sampled_from("ABCD"), max_size=4))
    def test_applying_twice_is_applying_once(self, first: list[str], second: list[str]) -> None:
        defaults = [
            pod_default(str(i), env=[{"name": n, "value": n} for n in names]) for i, names in enumerate((first, second))
        ]
        once = applied(pod(), *defaults)
        assert applied(once, *defaults) == once


class TestConflicts:
    """Same key, another value: the pod is refused, nothing is applied."""

    @pytest.mark.parametrize(
        ("field", "present", "wanted", "where"),
        [
            ("volumes", {"name": "v", "emptyDir": {}}, {"name": "v", "hostPath": {"path": "/"}}, "volumes/v"),
            ("tolerations", {"key": "gpu", "value": "a"}, {"key": "gpu", "value": "b"}, "tolerations/gpu"),
            ("initContainers", {"name": "n", "image": "a"}, {"name": "n", "image": "b"}, "initContainers/n"),
            ("imagePullSecrets", {"name": "ecr", "extra": "x"}, {"name": "ecr"}, "imagePullSecret/ecr"),
        ],
    )
    def test_in_the_pod(self, field: str, present: Object, wanted: Object, where: str) -> None:
        what, key = where.split("/")
        in_pod: dict[str, Any] = {field: [present]}
        in_default: dict[str, Any] = {field: [wanted]}
        text = refused(pod(**in_pod), pod_default(**in_default))
        assert text.startswith(
            f"{HEAD}access-mlflow on pod: train err: merging {what} for access-mlflow has a conflict on {key}: \n"
        )

    def test_a_sidecar_cannot_take_a_containers_name(self) -> None:
        text = refused(pod(), pod_default(sidecars=[{"name": "main", "image": "b"}]))
        assert "merging sidecars for access-mlflow has a conflict on main: " in text

    @pytest.mark.parametrize(
        ("field", "present", "wanted", "message"),
        [
            (
                "env",
                {"name": "A", "value": "1"},
                {"name": "A", "value": "2"},
                "env for access-mlflow has a conflict on A",
            ),
            (
                "volumeMounts",
                {"name": "v", "mountPath": "/a"},
                {"name": "v", "mountPath": "/b"},
                "volume mounts for access-mlflow has a conflict on v",
            ),
            (
                "volumeMounts",
                {"name": "v", "mountPath": "/a"},
                {"name": "w", "mountPath": "/a"},
                "volume mounts for access-mlflow has a conflict on mount path /a",
            ),
        ],
    )
    def test_in_a_container(self, field: str, present: Object, wanted: Object, message: str) -> None:
        in_default: dict[str, Any] = {field: [wanted]}
        text = refused(pod({"name": "main", "image": "i", field: [present]}), pod_default(**in_default))
        assert text.startswith(f"{HEAD}access-mlflow on pod: train err: merging {message}: \n")
        assert "\ndoes not match\n" in text
        assert text.endswith("\n in container")

    @pytest.mark.parametrize("field", ["labels", "annotations"])
    def test_in_labels_and_annotations(self, field: str) -> None:
        given_pod = pod(**{field: {"team": "blue"}})
        text = refused(given_pod, pod_default("access-mlflow", "kubeflow-user01", "12", **{field: {"team": "red"}}))
        assert text == (
            f'{HEAD}access-mlflow on pod: train err: merging has conflict on team: \n"red"\ndoes not match\n"blue"\n in pod'
        )

    def test_between_two_poddefaults_the_second_is_named(self) -> None:
        defaults = (
            pod_default("a", env=[{"name": "A", "value": "1"}]),
            pod_default("b", env=[{"name": "A", "value": "2"}]),
        )
        text = refused(pod(), *defaults)
        assert text == (
            f"{HEAD}a,b on pod: train err: merging env for b has a conflict on A: \n"
            '{"name": "A", "value": "2"}\ndoes not match\n{"name": "A", "value": "1"}\n in container'
        )

    def test_several_conflicts_are_all_told_each_once(self) -> None:
        one, two = ({"name": n, "image": "i", "env": [{"name": "A", "value": "1"}]} for n in ("one", "two"))
        text = refused(
            pod(one, two, labels={"t": "x"}), pod_default(env=[{"name": "A", "value": "2"}], labels={"t": "y"})
        )
        assert text.count("merging env for") == 1
        assert text.count("merging has conflict on t") == 1
        assert " err: [" in text
        assert text.endswith("]")

    def test_a_pod_without_a_name_yet_is_named_by_its_prefix(self) -> None:
        given_pod = pod(labels={"team": "blue"})
        given_pod["metadata"] |= {"name": "", "generateName": "train-"}
        assert " on pod: train- err: " in refused(given_pod, pod_default(labels={"team": "red"}))
