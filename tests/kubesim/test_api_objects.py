"""Writes and reads over HTTPS: conflicts, finalizers, dry run, deletion, bounds of what comes in."""

from __future__ import annotations

from tests.kubesim.conftest import Http, config_map

BASE = "/api/v1/namespaces/default/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def test_create_get_update_delete(http: Http) -> None:
    made = await http("POST", BASE, config_map("one"))
    assert made.status == 201
    version = made.body["metadata"]["resourceVersion"]
    assert (await http("GET", f"{BASE}/one")).body == made.body
    put = await http("PUT", f"{BASE}/one", config_map("one", {"a": "2"}, resourceVersion=version))
    assert (put.status, put.body["data"]) == (200, {"a": "2"})
    assert int(put.body["metadata"]["resourceVersion"]) == int(version) + 1
    assert put.body["metadata"]["uid"] == made.body["metadata"]["uid"]
    stale = await http("PUT", f"{BASE}/one", config_map("one", {"a": "3"}, resourceVersion=version))
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")
    gone = await http("DELETE", f"{BASE}/one")
    assert (gone.status, gone.body["status"], gone.body["details"]["uid"]) == (
        200,
        "Success",
        made.body["metadata"]["uid"],
    )
    assert (await http("GET", f"{BASE}/one")).status == 404


async def test_a_write_that_changes_nothing_is_no_write(http: Http) -> None:
    made = (await http("POST", BASE, config_map("one"))).body
    again = await http("PATCH", f"{BASE}/one", {"data": {"a": "1"}}, MERGE)
    assert again.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_server_metadata_cannot_be_set(http: Http) -> None:
    made = (
        await http("POST", BASE, config_map("one", uid="mine", creationTimestamp="2000-01-01T00:00:00Z", generation=7))
    ).body
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["creationTimestamp"] > "2020"
    assert "generation" not in made["metadata"]


async def test_finalizers_hold_and_release(http: Http) -> None:
    await http("POST", BASE, config_map("held", finalizers=["lab.example/hold"]))
    deleted = (await http("DELETE", f"{BASE}/held")).body
    assert deleted["metadata"]["deletionTimestamp"]
    assert (await http("GET", f"{BASE}/held")).status == 200
    released = await http("PATCH", f"{BASE}/held", {"metadata": {"finalizers": None}}, MERGE)
    assert released.status == 200
    assert (await http("GET", f"{BASE}/held")).status == 404


async def test_propagation_is_a_finalizer(http: Http) -> None:
    await http("POST", BASE, config_map("one"))
    deleted = (await http("DELETE", f"{BASE}/one", {"propagationPolicy": "Foreground"})).body
    assert deleted["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_preconditions(http: Http) -> None:
    await http("POST", BASE, config_map("one"))
    refused = await http("DELETE", f"{BASE}/one", {"preconditions": {"uid": "another"}})
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert (await http("GET", f"{BASE}/one")).status == 200


async def test_dry_run_writes_nothing(http: Http) -> None:
    revision = (await http("GET", BASE)).body["metadata"]["resourceVersion"]
    assert (await http("POST", f"{BASE}?dryRun=All", config_map("dry"))).status == 201
    assert (await http("GET", f"{BASE}/dry")).status == 404
    assert (await http("GET", BASE)).body["metadata"]["resourceVersion"] == revision


async def test_generated_names_differ(http: Http) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "gen-"}}
    names = {(await http("POST", BASE, body)).body["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("gen-") and len(name) == 9 for name in names)


async def test_strict_refuses_what_warn_tells(http: Http) -> None:
    odd = config_map("odd") | {"dataa": {}}
    assert (await http("POST", f"{BASE}?fieldValidation=Strict", odd)).status == 400
    warned = await http("POST", f"{BASE}?fieldValidation=Warn", odd)
    assert (warned.status, warned.headers["Warning"]) == (201, '299 - "unknown field \\"dataa\\""')


async def test_put_creates_only_what_may_be_created_so(http: Http) -> None:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    assert (await http("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", lease)).status == 201
    assert (await http("PUT", f"{BASE}/none", config_map("none"))).status == 404


async def test_generation_counts_the_spec_only(http: Http) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = await http(
        "POST", path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    )
    assert made.body["metadata"]["generation"] == 1
    labelled = await http("PATCH", f"{path}/d", {"metadata": {"labels": {"x": "y"}}}, MERGE)
    assert labelled.body["metadata"]["generation"] == 1
    scaled = await http("PATCH", f"{path}/d/scale", {"spec": {"replicas": 3}}, MERGE)
    assert scaled.body["spec"] == {"replicas": 3}
    status = await http("PATCH", f"{path}/d/status", {"status": {"replicas": 2}, "spec": {"replicas": 9}}, MERGE)
    assert (status.body["metadata"]["generation"], status.body["spec"]["replicas"], status.body["status"]) == (
        2,
        3,
        {"replicas": 2},
    )


async def test_pods_on_a_node_end_gracefully(http: Http) -> None:
    path = "/api/v1/namespaces/default/pods"
    await http(
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
    )
    spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 7}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert (await http("POST", path, pod)).status == 201
    bound = await http(
        "POST",
        f"{path}/p/binding",
        {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n"}},
    )
    assert bound.status == 201
    again = await http(
        "POST",
        f"{path}/p/binding",
        {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "m"}},
    )
    assert again.status == 409
    marked = (await http("DELETE", f"{path}/p")).body["metadata"]
    assert (marked["deletionGracePeriodSeconds"], "deletionTimestamp" in marked) == (7, True)
    assert (await http("DELETE", f"{path}/p?gracePeriodSeconds=0")).status == 200
    assert (await http("GET", f"{path}/p")).status == 404


async def test_bad_bodies_are_refused_and_the_server_lives(http: Http) -> None:
    deep = b'{"metadata":' * 5000 + b"1" + b"}" * 5000
    bodies = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"metadata":3}',
        b'{"kind":"ConfigMap","metadata":{"name":3}}',
        deep,
    ]
    for body in bodies:
        answer = await http("POST", BASE, body)
        assert answer.status in (400, 422), (body[:40], answer)
        assert answer.body["kind"] == "Status"
    assert (await http("POST", BASE, b"x" * (3 * 1024 * 1024 + 1))).status == 413
    assert (await http("GET", "/readyz")).body == "ok"


async def test_media_types(http: Http) -> None:
    protobuf = {"Accept": "application/vnd.kubernetes.protobuf"}
    assert (await http("GET", BASE, headers=protobuf)).status == 406
    either = {"Accept": "application/vnd.kubernetes.protobuf,application/json"}
    assert (await http("GET", BASE, headers=either)).body["kind"] == "ConfigMapList"
    assert (await http("POST", BASE, b"x", {"Content-Type": "text/csv"})).status == 415
    assert (await http("PATCH", f"{BASE}/none", {}, {"Content-Type": "application/json"})).status == 415
    yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\n"
    assert (await http("POST", BASE, yaml, {"Content-Type": "application/yaml"})).status == 201


async def test_nobody_may_do_nothing(nobody: Http, http: Http) -> None:
    assert (await nobody("GET", "/readyz")).status == 200
    assert (await nobody("GET", BASE)).status == 403
    assert (await nobody("GET", BASE, headers={"Authorization": "Bearer nonsense"})).status == 401
    assert (await nobody("GET", "/api/v1/nopes")).status == 403
    assert (await http("GET", "/api/v1/nopes")).status == 404
    assert (await http("PUT", BASE, config_map("x"))).status == 405
    assert (await http("GET", "/nothing")).body == "404 page not found\n"
