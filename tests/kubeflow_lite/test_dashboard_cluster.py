"""The dashboard as a process with its own account's rights: who gets in, and what each may see and press."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from kubeflow_lite.kube.client import Client
from kubeflow_lite.objects import Object
from kubeflow_lite.profiles.controller import PROFILES
from tests.kubeflow_lite.conftest import COURSE_NAMES, Cluster, account_kubeconfig, until
from tests.kubeflow_lite.profiling import body
from tests.kubeflow_lite.test_programs_cluster import listening


@pytest.fixture
async def dashboard(cluster: Cluster, client: Client, tmp_path: Path) -> AsyncIterator[str]:
    """The dashboard's address; profile-user41 and profile-user42 have their namespaces, accounts and role bindings."""
    kubeconfig = await account_kubeconfig(cluster, "centraldashboard", tmp_path / "kubeconfig")
    await make_tenants(cluster, client, tmp_path)
    with cluster.program("dashboard", tmp_path / "log", kubeconfig) as process:
        yield f"http://127.0.0.1:{listening(process, tmp_path / 'log')}"


def namespace_of(profile: Object | None) -> str:
    return str(((profile or {}).get("status") or {}).get("namespace") or "")


async def make_tenants(cluster: Cluster, client: Client, tmp_path: Path) -> None:
    if namespace_of(await client.find(PROFILES, "profile-user42")):
        return
    with cluster.program("profiles", tmp_path / "profiles.log", None, **COURSE_NAMES):
        for num in ("41", "42"):
            made = body(f"profile-user{num}")
            made["metadata"]["labels"] = {"mlops-lab/user": num}
            await client.apply(PROFILES, made)
            await until(client, PROFILES, f"profile-user{num}", holds=lambda one: bool(namespace_of(one)))


async def credential(client: Client, namespace: str, account: str) -> str:
    return await client.token(account, namespace, audiences=["centraldashboard"], seconds=600)


@asynccontextmanager
async def signed_in(url: str, credential: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.post(f"{url}/sign-in", data={"credential": credential}, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        yield session


async def test_nobody_is_let_in_without_a_token_made_for_the_dashboard(client: Client, dashboard: str) -> None:
    own = await client.token("default-editor", "kubeflow-user41", audiences=[], seconds=600)
    nobody = await credential(client, "kubeflow-user41", "default")
    async with aiohttp.ClientSession() as session:
        async with session.get(dashboard) as page:
            assert page.url.path == "/sign-in"
        for path in ("/live", "/tenants/kubeflow-user41", "/tenants/kubeflow-user41/live", "/notebook/x/y/lab"):
            async with session.get(dashboard + path, allow_redirects=False) as page:
                assert (page.status, page.headers["Location"]) == (303, "/sign-in")
        for given in ("", "AAAAAAAAAA", own, nobody):
            async with session.post(f"{dashboard}/sign-in", data={"credential": given}) as page:
                assert page.status == 403
                assert "Set-Cookie" not in page.headers
                assert given == "" or given not in await page.text()


async def test_guessing_is_stopped(dashboard: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(10):
            async with session.post(f"{dashboard}/sign-in", data={"credential": "AAAAAAAAAA"}) as page:
                assert page.status == 403
        async with session.post(f"{dashboard}/sign-in", data={"credential": "AAAAAAAAAA"}) as page:
            assert page.status == 429
            assert int(page.headers["Retry-After"]) > 30
        async with session.post(f"{dashboard}/codes", headers={"Authorization": "Bearer x"}) as page:
            assert page.status == 429


async def test_a_tenant_sees_only_its_own(client: Client, dashboard: str) -> None:
    async with signed_in(dashboard, await credential(client, "kubeflow-user41", "default-editor")) as tenant:
        async with tenant.get(dashboard) as page:
            text = await page.text()
            assert (page.status, page.url.path) == (200, "/tenants/kubeflow-user41")
            assert "profile-user42" not in text
            assert "user42" not in text
        others = ("/tenants/kubeflow-user42", "/tenants/kubeflow-user42/live", "/tenants/kubeflow-user42/checks/KF01")
        for path in (*others, "/live", "/tenants/nobody", "/notebook/kubeflow-user42/lab/lab"):
            async with tenant.get(dashboard + path) as page:
                assert page.status == 403, path


async def test_who_loses_the_right_loses_the_page(client: Client, dashboard: str) -> None:
    async with signed_in(dashboard, await credential(client, "kubeflow-user42", "default-viewer")) as viewer:
        async with viewer.get(dashboard) as page:
            assert page.status == 200
        async with viewer.get(f"{dashboard}/notebook/kubeflow-user42/lab/lab") as page:
            assert page.status == 403, "looking is no right to run code"


async def test_the_instructor_sees_everybody_and_may_press(client: Client, dashboard: str) -> None:
    token = await credential(client, "kubeflow", "instructor")
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{dashboard}/codes", headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        code = (await answer.json())["code"]
    async with signed_in(dashboard, code) as instructor:
        async with instructor.get(dashboard) as page:
            text = await page.text()
            assert "/tenants/kubeflow-user41" in text
            assert "/tenants/kubeflow-user42" in text
            assert token not in text
            assert code not in text
        csrf = re.search(r'name="csrf" content="([^"]+)"', text)
        assert csrf is not None
        fields = {"verb": "break", "fault": "mlflow-down", "user": "41"}
        for refused in ({}, {"csrf": "x"}):
            async with instructor.post(f"{dashboard}/requests", data={**fields, **refused}) as answer:
                assert answer.status == 403
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
            async with instructor.post(
                f"{dashboard}/requests", data={**fields, "csrf": csrf[1]}, headers=headers
            ) as answer:
                assert answer.status == 403
        async with instructor.post(f"{dashboard}/requests", data={**fields, "csrf": csrf[1]}) as answer:
            assert answer.status == 200
    (request,) = (await client.list("v1/configmaps", "kubeflow", labels="mlops-lab/kind=request")).items
    assert request["data"] | fields == request["data"]
    await client.delete("v1/configmaps", request["metadata"]["name"], "kubeflow")


async def test_a_tenant_presses_nothing_of_others(client: Client, dashboard: str) -> None:
    async with signed_in(dashboard, await credential(client, "kubeflow-user41", "default-editor")) as tenant:
        async with tenant.get(dashboard) as page:
            csrf = re.search(r'name="csrf" content="([^"]+)"', await page.text())
        assert csrf is not None
        for fields in (
            {"verb": "break", "fault": "mlflow-down", "user": "41"},
            {"verb": "rehearse", "user": "41"},
            {"verb": "verify", "user": "42"},
            {"verb": "verify"},
        ):
            async with tenant.post(f"{dashboard}/requests", data={**fields, "csrf": csrf[1]}) as answer:
                assert answer.status == 403, fields
        async with tenant.post(
            f"{dashboard}/requests", data={"verb": "verify", "user": "41", "csrf": csrf[1]}
        ) as answer:
            assert answer.status == 200
        async with tenant.post(f"{dashboard}/sign-out", data={"csrf": csrf[1]}) as answer:
            assert answer.url.path == "/sign-in"
        async with tenant.get(f"{dashboard}/tenants/kubeflow-user41", allow_redirects=False) as page:
            assert page.status == 303
    for request in (await client.list("v1/configmaps", "kubeflow", labels="mlops-lab/kind=request")).items:
        await client.delete("v1/configmaps", request["metadata"]["name"], "kubeflow")
