"""Sessions, one-time codes and the limit on attempts, with a clock of the test's own."""

from __future__ import annotations

from kubeflow_lite.web.sessions import CODE_SECONDS, SESSION_SECONDS, Attempts, Codes, Identity, Sessions

WHO = Identity("system:serviceaccount:kubeflow-user07:default-editor", (), "kubeflow-user07")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_code_is_good_once() -> None:
    codes = Codes(Clock())
    code = codes.issue(WHO)
    assert codes.redeem(f" {code[:5].lower()}-{code[5:]} ") == WHO, "as people type it"
    assert codes.redeem(code) is None


def test_a_code_is_good_for_two_minutes() -> None:
    clock = Clock()
    codes = Codes(clock)
    code = codes.issue(WHO)
    clock.now += CODE_SECONDS
    assert codes.redeem(code) is None


def test_sessions_end() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    first, second = sessions.open(WHO), sessions.open(WHO)
    found = sessions.find(first)
    assert found is not None
    other = sessions.find(second)
    assert other is not None
    assert found.csrf != other.csrf
    sessions.close(first)
    assert sessions.find(first) is None
    clock.now += SESSION_SECONDS
    assert sessions.find(second) is None
    assert sessions.find("") is None


def test_an_address_that_fails_too_often_waits_and_others_do_not() -> None:
    clock = Clock()
    attempts = Attempts(most=3, seconds=60, clock=clock)
    for _ in range(3):
        assert attempts.wait("10.0.0.1") == 0.0
        attempts.failed("10.0.0.1")
    assert attempts.wait("10.0.0.1") == 60.0
    assert attempts.wait("10.0.0.2") == 0.0
    clock.now += 60
    assert attempts.wait("10.0.0.1") == 0.0
