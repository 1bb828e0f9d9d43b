"""Admission webhooks over real HTTPS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kubesim.errors import ApiError, BadRequest, Forbidden, InternalError
from kubesim.resources import Object
from tests.kubesim.admission.hookserver import HookServer, annotate, patch, serving
from tests.kubesim.admission.world import World, config_map, pod, quota


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.chain.close()


async def refused(world: World, obj: Object | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await world.create("pods", obj or pod("p"))
    return caught.value


async def test_the_question_is_kubernetes_admission_review(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        server.install(world, "validating", "check.example.com")
        await world.create("pods", pod("p"))
    (asked,) = server.asked
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    assert asked.pop("uid")
    assert asked.pop("object")["spec"]["serviceAccountName"] == "default", "plug-ins have changed it before"
    assert asked == {
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": "p",
        "namespace": "n",
        "operation": "CREATE",
        "userInfo": {"username": "system:apiserver", "groups": ["system:masters", "system:authenticated"]},
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }


@pytest.mark.parametrize("warnings", [1, "text", {"a": 1}, None])
async def test_warnings_that_are_none_are_left_out(world: World, tmp_path: Path, warnings: object) -> None:
    async with serving(tmp_path, lambda _: {"allowed": True, "warnings": warnings}) as server:
        server.install(world, "validating", "warn.example.com")
        await world.create("pods", pod("p"))
    assert world.warnings == []


async def test_a_mutating_webhook_changes_the_object(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: annotate("seen", "yes") | {"warnings": ["old\nfield"]}) as server:
        server.install(world, "mutating", "change.example.com")
        made = await world.create("pods", pod("p"))
    assert made["metadata"]["annotations"] == {"seen": "yes"}
    assert world.warnings == ["old field"]


async def test_what_a_webhook_adds_meets_the_plugins_again(world: World, tmp_path: Path) -> None:
    sidecar = {"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "x"}}
    world.memory.put("v1/resourcequotas", quota("q", {"cpu": "1"}))
    async with serving(tmp_path, lambda _: patch(sidecar)) as server:
        server.install(world, "mutating", "inject.example.com")
        error = await refused(world, pod("p", requests={"cpu": "1"}))
        assert error.message == 'pods "p" is forbidden: failed quota: q: must specify cpu for: sidecar'
        world.memory.drop("v1/resourcequotas", "n", "q")
        made = await world.create("pods", pod("p"))
    assert [len(one["volumeMounts"]) for one in made["spec"]["containers"]] == [1, 1], "the sidecar has the token too"
    assert len(made["spec"]["volumes"]) == 1


@pytest.mark.parametrize(
    ("response", "code", "reason", "message"),
    [
        ({"status": {"message": "no", "code": 403, "reason": "Forbidden"}}, 403, "Forbidden", "denied the request: no"),
        ({"status": {"message": "no"}}, 400, None, "denied the request: no"),
        ({"status": {"reason": "Busy"}}, 400, "Busy", "denied the request: Busy"),
        ({"status": {"code": 200}}, 400, None, "denied the request without explanation"),
        ({}, 400, None, "denied the request without explanation"),
    ],
)
async def test_a_denial_has_the_webhooks_words(
    world: World, tmp_path: Path, response: Object, code: int, reason: str | None, message: str
) -> None:
    async with serving(tmp_path, lambda _: {"allowed": False, **response}) as server:
        server.install(world, "validating", "deny.example.com")
        error = await refused(world)
    status = error.status()
    assert (error.code, status["code"], status.get("reason")) == (code, code, reason)
    assert status["message"] == f'admission webhook "deny.example.com" {message}'
    assert world.memory.get("v1/pods", "n", "p") is None


async def unreachable(world: World, tmp_path: Path, policy: str) -> int:
    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        server.install(world, "validating", "gone.example.com", failurePolicy=policy)
    return server.port


async def test_a_webhook_that_is_not_there_stops_the_write(world: World, tmp_path: Path) -> None:
    port = await unreachable(world, tmp_path, "Fail")
    error = await refused(world)
    assert isinstance(error, InternalError)
    why = (
        f'failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:{port}/check?timeout=10s": '
        f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    )
    assert error.message == f"Internal error occurred: {why}"
    assert error.details == {"causes": [{"message": why}]}


async def test_unless_its_failure_is_to_be_ignored(world: World, tmp_path: Path) -> None:
    await unreachable(world, tmp_path, "Ignore")
    await world.create("pods", pod("p"))


async def test_a_slow_webhook_is_given_up(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        server.pause = asyncio.Event()
        server.install(world, "validating", "slow.example.com", timeoutSeconds=1)
        error = await refused(world)
        server.pause.set()
    assert error.message.endswith('/check?timeout=1s": context deadline exceeded')


async def test_a_certificate_of_someone_else_is_not_trusted(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        other = tmp_path / "other"
        other.mkdir()
        async with serving(other, lambda _: {"allowed": True}) as second:
            server.bundle = second.bundle
        server.install(world, "validating", "x.example.com")
        error = await refused(world)
    assert "tls: failed to verify certificate: x509:" in error.message
    assert server.asked == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("no json", "got a body that is no JSON"),
        (
            '{"kind":"Pod","apiVersion":"v1"}',
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got v1, Kind=Pod",
        ),
        ('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', "webhook response was absent"),
        (
            '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"x","allowed":true}}',
            "expected response.uid=",
        ),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(world: World, tmp_path: Path, body: str, says: str) -> None:
    async with serving(tmp_path, lambda _: {}) as server:
        server.raw = lambda _: web.Response(text=body, content_type="application/json")
        server.install(world, "validating", "odd.example.com")
        error = await refused(world)
    assert 'failed calling webhook "odd.example.com": ' in error.message
    assert says in error.message


async def test_http_errors_and_bad_patches_are_failures(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: {}) as server:
        server.install(world, "mutating", "odd.example.com")
        server.raw = lambda _: web.Response(status=500, text="broken")
        assert (
            'an error on the server ("broken") has prevented the request from succeeding'
            in (await refused(world)).message
        )
        server.raw = lambda _: web.Response(status=404)
        assert "the server could not find the requested resource" in (await refused(world)).message
        server.raw = None
        for answer in (
            {"allowed": True, "patch": "AAAA"},
            {"allowed": True, "patch": "AAAA", "patchType": "JSONPatch"},
            patch({"op": "remove", "path": "/not/there"}),
            patch({"op": "replace", "path": "", "value": []}),
            patch({"op": "remove", "path": "/metadata"}),
            patch({"op": "replace", "path": "/metadata/name", "value": "other"}),
            patch({"op": "replace", "path": "/metadata/namespace", "value": "other"}),
            patch({"op": "fly", "path": "/metadata"}),
        ):
            server.answer = lambda _, answer=answer: answer  # type: ignore[misc]
            assert isinstance(await refused(world), InternalError), answer


async def test_selectors_rules_and_conditions_choose_what_is_asked(world: World, tmp_path: Path) -> None:
    async def asked(**more: Any) -> bool:
        server.install(world, "validating", "choose.example.com", **more)
        server.asked.clear()
        await world.create("pods", pod("p") | {"metadata": {"name": "p", "labels": {"app": "web"}}})
        return bool(server.asked)

    def rule(**more: object) -> dict[str, object]:
        return {
            "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], **more}]
        }

    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        assert await asked(**rule())
        assert not await asked(**rule(operations=["DELETE"]))
        assert not await asked(**rule(apiGroups=["apps"]))
        assert not await asked(**rule(apiVersions=["v2"]))
        assert not await asked(**rule(resources=["pods/status"]))
        assert await asked(**rule(resources=["*/*"], scope="Namespaced"))
        assert not await asked(**rule(scope="Cluster"))
        assert await asked(namespaceSelector={"matchLabels": {"team": "a"}})
        assert not await asked(namespaceSelector={"matchLabels": {"team": "b"}})
        assert await asked(objectSelector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]})
        assert not await asked(objectSelector={"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]})
        assert await asked(matchConditions=[{"name": "c", "expression": "object.metadata.labels['app'] == 'web'"}])
        assert not await asked(matchConditions=[{"name": "c", "expression": "request.operation == 'DELETE'"}])


async def test_another_version_of_a_custom_kind_is_no_way_past_a_webhook(world: World, tmp_path: Path) -> None:
    def install(server: HookServer, **more: Any) -> None:
        rule = {"operations": ["*"], "apiGroups": ["kubeflow.org"], "apiVersions": ["v1"], "resources": ["profiles"]}
        server.install(world, "validating", "profiles.example.com", rules=[rule], **more)

    async with serving(tmp_path, lambda _: {"allowed": False}) as server:
        install(server)
        with pytest.raises(ApiError, match="denied the request"):
            await world.create("profiles", {"metadata": {"name": "p"}})
        install(server, matchPolicy="Exact")
        await world.create("profiles", {"metadata": {"name": "p"}})


async def test_webhooks_see_no_webhook_configurations(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: {"allowed": False}) as server:
        server.install(world, "validating", "all.example.com", plural="*")
        await world.create("mutatingwebhookconfigurations", {"metadata": {"name": "x"}})
    assert server.asked == []


async def test_dry_run_is_refused_where_it_would_have_effects(world: World, tmp_path: Path) -> None:
    async with serving(tmp_path, lambda _: {"allowed": True}) as server:
        server.install(world, "validating", "effects.example.com", sideEffects="Some")
        with pytest.raises(BadRequest, match=r'admission webhook "effects.example.com" does not support dry run'):
            await world.create("pods", pod("p"), dry_run=True)
        server.install(world, "validating", "effects.example.com", sideEffects="NoneOnDryRun")
        await world.create("pods", pod("p"), dry_run=True)
    assert [one["dryRun"] for one in server.asked] == [True]


async def test_if_needed_asks_again_once_another_has_changed_the_object(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    def first(request: Object) -> Object:
        images = [one["image"] for one in request["object"]["spec"]["containers"]]
        return annotate("images", ",".join(images))

    sidecar = {"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "late"}}
    async with serving(tmp_path, first) as early, serving(other, lambda _: patch(sidecar)) as late:
        early.install(world, "mutating", "a.example.com", reinvocationPolicy="IfNeeded")
        late.install(world, "mutating", "b.example.com")
        made = await world.create("pods", pod("p"))
    assert made["metadata"]["annotations"] == {"images": "lab/busybox:1,late"}
    assert (len(early.asked), len(late.asked)) == (2, 1)


async def test_a_deletion_can_be_refused(world: World, tmp_path: Path) -> None:
    await world.create("configmaps", config_map("keep"))
    rule = {"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    async with serving(tmp_path, lambda _: {"allowed": False, "status": {"message": "keep it", "code": 403}}) as server:
        server.install(world, "validating", "keep.example.com", rules=[rule])
        with pytest.raises(ApiError, match="denied the request: keep it"):
            await world.delete("configmaps", "keep")
    (asked,) = server.asked
    assert (asked["object"], asked["oldObject"]["metadata"]["name"]) == (None, "keep")


def service_world(world: World, port: int, *, ready: bool = True) -> None:
    spec = {"ports": [{"name": "https", "port": 443, "targetPort": "web"}]}
    world.memory.put("v1/services", {"metadata": {"name": "hook", "namespace": "n"}, "spec": spec})
    world.memory.put(
        "discovery.k8s.io/v1/endpointslices",
        {
            "metadata": {"name": "hook-abc", "namespace": "n", "labels": {"kubernetes.io/service-name": "hook"}},
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )


async def test_a_webhook_behind_a_service(world: World, tmp_path: Path) -> None:
    def client(server: HookServer) -> Object:
        return {"service": {"namespace": "n", "name": "hook", "path": "/check"}, "caBundle": server.bundle}

    async with serving(tmp_path, lambda _: {"allowed": True}, names=("hook.n.svc",)) as server:
        server.install(world, "validating", "svc.example.com", clientConfig=client(server))
        shown = 'failed to call webhook: Post "https://hook.n.svc:443/check?timeout=10s": '
        assert shown + 'service "hook" not found' in (await refused(world)).message
        service_world(world, server.port, ready=False)
        assert shown + 'no endpoints available for service "hook"' in (await refused(world)).message
        service_world(world, server.port)
        await world.create("pods", pod("p"))
    assert len(server.asked) == 1


async def test_the_namespace_is_looked_at_again_after_the_webhooks(world: World, tmp_path: Path) -> None:
    """Quota, limits and the namespace are judged as they are when the webhooks have answered, not as they were before."""

    def delete_meanwhile(_: Object) -> Object:
        world.memory.put("v1/namespaces", {"metadata": {"name": "n"}, "status": {"phase": "Terminating"}})
        return {"allowed": True}

    async with serving(tmp_path, delete_meanwhile) as server:
        server.install(world, "validating", "x.example.com")
        assert isinstance(await refused(world), Forbidden)
