"""Tokens that someone else on this machine knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from kubesim.auth import keys
from kubesim.auth.authenticate import Authenticator, Credentials
from kubesim.auth.tokens import TokenError, Tokens
from kubesim.auth.webhook import TokenWebhook, loopback
from kubesim.errors import Unauthorized
from kubesim.resources import Object
from tests.kubesim.auth.memory import Memory, namespaced

EKS = "k8s-aws-v1.aHR0cHM6Ly9zdHM"


class Reviewer:
    """Knows one token; counts the questions."""

    def __init__(self) -> None:
        self.asked: list[Object] = []
        self.answer: Any = None
        self.status = 201

    async def handle(self, http: web.Request) -> web.Response:
        review = await http.json()
        self.asked.append(review)
        known = review["spec"]["token"] == EKS
        user = {"username": "user01@mlops.local", "groups": ["mlops:tenants"], "uid": "AIDA", "extra": {"arn": ["a"]}}
        answer = review | {"status": {"authenticated": True, "user": user} if known else {"error": "expired"}}
        return web.json_response(answer if self.answer is None else self.answer, status=self.status)


class World:
    def __init__(self, url: str, reviewer: Reviewer) -> None:
        self.now, self.reviewer = 1000.0, reviewer
        self.webhook = TokenWebhook(url, clock=lambda: self.now)
        self.memory = Memory()
        self.tokens = Tokens(keys.new(), self.memory)
        self.authenticator = Authenticator(self.tokens, webhook=self.webhook)

    async def name(self, token: str = EKS) -> str:
        return (await self.authenticator.authenticate(Credentials(authorization=f"Bearer {token}"))).name


@contextlib.asynccontextmanager
async def listening(reviewer: Reviewer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/review", reviewer.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/review"
    finally:
        await runner.cleanup()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    reviewer = Reviewer()
    async with listening(reviewer) as url:
        world = World(url, reviewer)
        yield world
        await world.webhook.close()


async def test_a_token_of_theirs_is_asked_about_and_remembered(world: World) -> None:
    user = await world.authenticator.authenticate(Credentials(authorization=f"Bearer {EKS}"))
    assert (user.name, user.uid, user.groups) == (
        "user01@mlops.local",
        "AIDA",
        ("mlops:tenants", "system:authenticated"),
    )
    assert dict(user.extra) == {"arn": ("a",)}
    assert await world.name() == "user01@mlops.local"
    assert len(world.reviewer.asked) == 1
    assert world.reviewer.asked[0]["kind"] == "TokenReview"
    world.now += 121
    assert await world.name() == "user01@mlops.local"
    assert len(world.reviewer.asked) == 2


async def test_many_at_once_ask_once(world: World) -> None:
    names = await asyncio.gather(*(world.name() for _ in range(20)))
    assert (set(names), len(world.reviewer.asked)) == ({"user01@mlops.local"}, 1)


async def test_a_client_that_goes_away_does_not_take_the_answer_from_others(world: World) -> None:
    impatient, patient = asyncio.create_task(world.name()), asyncio.create_task(world.name())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == "user01@mlops.local"
    assert len(world.reviewer.asked) == 1


async def test_a_token_they_do_not_know_is_refused_and_asked_about_again_soon(world: World) -> None:
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await world.name("k8s-aws-v1.other")
    assert len(world.reviewer.asked) == 1
    world.now += 11
    with pytest.raises(Unauthorized):
        await world.name("k8s-aws-v1.other")
    assert len(world.reviewer.asked) == 2


async def test_our_own_tokens_are_never_sent_to_them(world: World) -> None:
    account = world.memory.put("v1/serviceaccounts", namespaced("sa", "n"))
    token = world.tokens.issue(account)
    assert await world.name(token) == "system:serviceaccount:n:sa"
    world.memory.drop("v1/serviceaccounts", "n", "sa")
    with pytest.raises(Unauthorized):
        await world.name(token)
    assert world.reviewer.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"status": 1},
        {"status": {}},
        {"status": {"authenticated": "true", "user": {"username": "x"}}},
        {"status": {"authenticated": True, "user": {}}},
    ],
)
async def test_an_answer_that_says_nothing_signs_nobody_in(world: World, answer: object) -> None:
    world.reviewer.answer = answer
    with pytest.raises(Unauthorized):
        await world.name()


async def test_nobody_there_is_no_sign_in_and_is_not_remembered(world: World) -> None:
    world.reviewer.status = 500
    with pytest.raises(TokenError, match="did not answer"):
        await world.webhook.review(EKS, ())
    world.reviewer.status = 200
    assert await world.name() == "user01@mlops.local"


@pytest.mark.parametrize(
    "url",
    [
        "https://sts.amazonaws.com/",
        "http://10.0.0.1/x",
        "http://127.0.0.1.evil.example/",
        "ftp://127.0.0.1/",
        "http://user@evil.example/",
        "http://127.0.0.1@evil.example/",
        "nonsense",
    ],
)
def test_a_token_goes_nowhere_but_to_this_machine(url: str) -> None:
    with pytest.raises(ValueError, match="must be on this machine"):
        loopback(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566/_kubesim/review", "https://localhost:1/x", "http://[::1]:1/x"])
def test_this_machine_has_several_names(url: str) -> None:
    assert loopback(url) == url
