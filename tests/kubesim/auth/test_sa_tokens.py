"""Service-account tokens: what is in them, and what ends them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stat
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kubesim.auth import keys
from kubesim.auth.keys import SigningKey
from kubesim.auth.tokens import ISSUER, TokenError, Tokens
from kubesim.errors import BadRequest, Conflict, Invalid, NotFound
from kubesim.resources import Object
from tests.kubesim.auth.memory import Memory, namespaced

KEY = keys.new()
NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class World:
    """A namespace `n` with the service account `sa`."""

    def __init__(self, key: SigningKey = KEY) -> None:
        self.memory, self.clock = Memory(), Clock()
        self.tokens = Tokens(key, self.memory, clock=self.clock)
        self.account = self.memory.put("v1/serviceaccounts", namespaced("sa", "n"))

    def pod(self, name: str = "p", account: str = "sa") -> Object:
        self.memory.put("v1/nodes", {"metadata": {"name": "node-1", "uid": "node-uid"}})
        spec = {"serviceAccountName": account, "nodeName": "node-1"}
        return self.memory.put("v1/pods", namespaced(name, "n", spec=spec))

    def ask(self, **spec: object) -> Object:
        return self.tokens.request(self.account, {"spec": spec})


@pytest.fixture
def world() -> World:
    return World()


def test_a_token_request_answers_as_kubernetes_does(world: World) -> None:
    answer = world.ask(expirationSeconds=3600)
    token = answer["status"].pop("token")
    assert answer == {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": "sa",
            "namespace": "n",
            "uid": world.account["metadata"]["uid"],
            "creationTimestamp": "2027-01-15T08:00:00Z",
        },
        "spec": {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": None},
        "status": {"expirationTimestamp": "2027-01-15T09:00:00Z"},
    }
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "kid": KEY.id}
    claims = jwt.decode(
        token, KEY.public, ["RS256"], audience=ISSUER, options={"verify_nbf": False, "verify_iat": False}
    )
    assert claims.pop("jti")
    assert claims == {
        "aud": [ISSUER],
        "exp": NOW + 3600,
        "iat": NOW,
        "nbf": NOW,
        "iss": ISSUER,
        "sub": "system:serviceaccount:n:sa",
        "kubernetes.io": {"namespace": "n", "serviceaccount": {"name": "sa", "uid": world.account["metadata"]["uid"]}},
    }


def test_the_user_of_a_token(world: World) -> None:
    pod = world.pod()
    token = world.ask(boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})["status"]["token"]
    user = world.tokens.verify(token).user
    assert user.name == "system:serviceaccount:n:sa"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated")
    assert user.uid == world.account["metadata"]["uid"]
    extra = dict(user.extra)
    assert extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert extra["authentication.kubernetes.io/pod-uid"] == (pod["metadata"]["uid"],)
    assert extra["authentication.kubernetes.io/node-name"] == ("node-1",)
    assert extra["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")


def refused(world: World, token: str, **more: list[str]) -> str:
    with pytest.raises(TokenError) as caught:
        world.tokens.verify(token, **more)
    return str(caught.value)


def test_a_token_ends_with_its_time_also_when_it_was_seen_before(world: World) -> None:
    token = world.ask(expirationSeconds=600)["status"]["token"]
    assert world.tokens.verify(token)
    world.clock.now += 600
    assert "expired" in refused(world, token)


def test_a_token_ends_with_its_account(world: World) -> None:
    token = world.ask()["status"]["token"]
    assert world.tokens.verify(token)
    world.memory.put("v1/serviceaccounts", namespaced("sa", "n"))
    assert "not the one" in refused(world, token), "an account of the same name is another account"
    world.memory.drop("v1/serviceaccounts", "n", "sa")
    assert "deleted" in refused(world, token)


def test_a_token_ends_with_its_pod_a_minute_after_the_pods_deletion_began(world: World) -> None:
    pod = world.pod()
    token = world.ask(boundObjectRef={"kind": "Pod", "name": "p"})["status"]["token"]
    dying = pod["metadata"] | {"deletionTimestamp": "2027-01-15T08:00:00Z"}
    world.memory.put("v1/pods", pod | {"metadata": dying})
    assert world.tokens.verify(token)
    world.clock.now += 61
    assert "deleted" in refused(world, token)


def test_a_token_is_for_its_audience(world: World) -> None:
    token = world.ask(audiences=["vault"])["status"]["token"]
    assert "invalid for the target audiences" in refused(world, token)
    assert world.tokens.verify(token, audiences=["vault", "other"]).audiences == ("vault",)


@pytest.mark.parametrize(
    "change", ["signature", "payload", "algorithm", "key", "issuer", "garbage", "huge", "truncated"]
)
def test_what_we_did_not_sign_is_no_token(world: World, change: str) -> None:
    token = world.ask()["status"]["token"]
    head, body, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = {
        "signature": f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        "payload": f"{head}.{jwt.encode(claims | {'sub': 'system:admin'}, 'x' * 32).split('.')[1]}.{signature}",
        "algorithm": jwt.encode(claims, "", algorithm="none"),
        "key": jwt.encode(claims, keys.new().private, algorithm="RS256", headers={"kid": KEY.id}),
        "issuer": jwt.encode(claims | {"iss": "https://elsewhere"}, KEY.private, algorithm="RS256"),
        "garbage": "garbage",
        "huge": "a" * 100_000,
        "truncated": f"{head}.{body}",
    }
    assert refused(world, forged[change])


def test_the_public_key_used_as_a_secret_signs_nothing(world: World) -> None:
    _, body, _ = world.ask()["status"]["token"].split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    pem = KEY.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.new(pem, f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert refused(world, f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


def test_a_token_request_that_makes_no_sense(world: World) -> None:
    with pytest.raises(Invalid) as short:
        world.ask(expirationSeconds=10)
    assert short.value.message == (
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 10: '
        "may not specify a duration less than 10 minutes"
    )
    with pytest.raises(NotFound, match='pods "gone" not found'):
        world.ask(boundObjectRef={"kind": "Pod", "name": "gone"})
    with pytest.raises(BadRequest, match="object of type v1, Kind=ConfigMap"):
        world.ask(boundObjectRef={"apiVersion": "v1", "kind": "ConfigMap", "name": "x"})
    world.pod("other", account="another")
    with pytest.raises(BadRequest, match="different serviceaccount name"):
        world.ask(boundObjectRef={"kind": "Pod", "name": "other"})
    world.pod()
    with pytest.raises(Conflict, match="does not match the UID in record"):
        world.ask(boundObjectRef={"kind": "Pod", "name": "p", "uid": "another"})


def test_the_key_is_kept_and_private(tmp_path: Path) -> None:
    file = tmp_path / "sa.key"
    first = keys.load(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys.load(file).id == first.id
    token = World(first).ask()["status"]["token"]
    again = World(keys.load(file))
    again.memory.put("v1/serviceaccounts", {"metadata": {"name": "sa", "namespace": "n", "uid": "uid-1"}})
    assert again.tokens.verify(token).user.name == "system:serviceaccount:n:sa"
    assert [one.name for one in tmp_path.iterdir()] == ["sa.key"]


def test_discovery_publishes_what_verifies_a_token(world: World) -> None:
    published = jwt.PyJWK(world.tokens.jwks()["keys"][0])
    token = world.ask()["status"]["token"]
    assert jwt.decode(token, published, ["RS256"], audience=ISSUER, options={"verify_nbf": False, "verify_iat": False})
    about = world.tokens.openid_configuration("https://127.0.0.1:1")
    assert about["issuer"] == ISSUER
    assert about["jwks_uri"] == "https://127.0.0.1:1/openid/v1/jwks"


def lasting(world: World, **data: str) -> tuple[str, Object]:
    secret = world.memory.put("v1/secrets", namespaced("long", "n", type="kubernetes.io/service-account-token"))
    token = world.tokens.lasting(world.account, secret)
    secret["data"] = {"token": base64.b64encode(token.encode()).decode()} | data
    return token, secret


def test_a_secret_s_token_lasts_as_long_as_the_secret_holds_it(world: World) -> None:
    token, secret = lasting(world)
    world.clock.now += 10 * 365 * 86400
    found = world.tokens.verify(token)
    assert (found.user.name, found.user.uid) == ("system:serviceaccount:n:sa", world.account["metadata"]["uid"])
    assert "system:serviceaccounts:n" in found.user.groups
    assert found.audiences == (ISSUER,)
    assert world.tokens.ours(token)
    secret["data"]["token"] = base64.b64encode(b"another").decode()
    with pytest.raises(TokenError, match="secret n/long holds another token"):
        world.tokens.verify(token)


def test_a_secret_s_token_ends_with_its_secret_or_its_account(world: World) -> None:
    token, secret = lasting(world)
    secret["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(TokenError, match="has been deleted"):
        world.tokens.verify(token)
    del secret["metadata"]["deletionTimestamp"]
    world.memory.put("v1/serviceaccounts", {"metadata": {"namespace": "n", "name": "sa", "uid": "new"}})
    with pytest.raises(TokenError, match="not the one the token was made for"):
        world.tokens.verify(token)


def test_a_secret_s_token_is_for_nobody_but_the_api_server(world: World) -> None:
    token, _ = lasting(world)
    with pytest.raises(TokenError, match="audiences"):
        world.tokens.verify(token, audiences=["elsewhere"])


def test_a_token_of_this_issuer_must_have_its_claims(world: World) -> None:
    token = jwt.encode({"iss": ISSUER, "sub": "x"}, KEY.private, algorithm="RS256")
    with pytest.raises(TokenError, match="missing the claims"):
        world.tokens.verify(token)
