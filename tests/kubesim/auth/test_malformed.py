"""Whatever JSON comes in a review or a token request, and whatever text in a header: an answer or a refusal, never a crash."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubesim.auth import bootstrap, keys
from kubesim.auth.attributes import Attributes
from kubesim.auth.authenticate import Authenticator, Credentials
from kubesim.auth.impersonate import impersonate
from kubesim.auth.rbac import Authorizer
from kubesim.auth.reviews import KINDS, Reviews
from kubesim.auth.tokens import TokenError, Tokens
from kubesim.auth.user import ANONYMOUS, User
from kubesim.errors import ApiError
from tests.kubesim.auth.memory import Memory, namespaced

MEMORY = Memory()
for _key, _obj in bootstrap.pending(MEMORY):
    MEMORY.put(_key, _obj)
TOKENS = Tokens(keys.new(), MEMORY)
ACCOUNT = MEMORY.put("v1/serviceaccounts", namespaced("sa", "n"))
AUTHORIZER = Authorizer(MEMORY)
AUTHENTICATOR = Authenticator(TOKENS)
REVIEWS = Reviews(AUTHENTICATOR, AUTHORIZER)

FIELDS = st.sampled_from(
    [
        "token",
        "audiences",
        "user",
        "uid",
        "groups",
        "extra",
        "namespace",
        "resourceAttributes",
        "nonResourceAttributes",
        "verb",
        "group",
        "resource",
        "subresource",
        "name",
        "path",
        "expirationSeconds",
        "boundObjectRef",
        "kind",
        "apiVersion",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["n", "Pod", "*"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner, max_size=4)
)
SPECS = st.dictionaries(FIELDS, JSON, max_size=5) | JSON
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("kind", KINDS)
@FUZZ
@given(spec=SPECS, metadata=JSON)
async def test_reviews(kind: str, spec: Any, metadata: Any) -> None:
    refused = 0
    try:
        answer = await REVIEWS.create(kind, {"kind": kind, "metadata": metadata, "spec": spec}, User("u"), "n")
        assert answer["status"]
    except ApiError as error:
        refused = error.code
    assert refused in (0, 400, 422)


@FUZZ
@given(spec=SPECS, metadata=JSON)
def test_token_requests(spec: Any, metadata: Any) -> None:
    refused = 0
    try:
        assert TOKENS.request(ACCOUNT, {"metadata": metadata, "spec": spec})["status"]["token"]
    except ApiError as error:
        refused = error.code
    assert refused in (0, 400, 404, 422)


@FUZZ
@given(header=st.text() | st.text().map(lambda text: f"Bearer {text}"), offered=st.lists(st.text(), max_size=2))
async def test_credentials(header: str, offered: list[str]) -> None:
    protocols = [*offered, *(f"base64url.bearer.authorization.k8s.io.{text}" for text in offered)]
    refused = 0
    try:
        assert await AUTHENTICATOR.authenticate(Credentials(authorization=header, subprotocols=protocols)) == ANONYMOUS
    except ApiError as error:
        refused = error.code
    assert refused in (0, 401)


@FUZZ
@given(parts=st.lists(st.binary(max_size=40) | st.just(b'{"alg":"RS256"}') | st.just(b"{}"), max_size=4))
def test_tokens(parts: list[bytes]) -> None:
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    with pytest.raises(TokenError):
        TOKENS.verify(token)


@FUZZ
@given(
    headers=st.lists(
        st.tuples(st.sampled_from(["User", "Group", "Uid", "Extra-a", "Extra-", "Extra-%ff%2f", "x"]), st.text()),
        max_size=5,
    )
)
def test_impersonation(headers: list[tuple[str, str]]) -> None:
    named = [(f"Impersonate-{name}", value) for name, value in headers]
    asked = Attributes(User("u", groups=("system:authenticated",)), "list", resource="pods", namespace="n")
    refused = 0
    try:
        assert impersonate(asked, named, AUTHORIZER) == asked.user
    except ApiError as error:
        refused = error.code
    assert refused in ((400, 403) if named else (0,))
