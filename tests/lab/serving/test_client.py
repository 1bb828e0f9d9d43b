"""`invoke predict`: what is typed, and what the service says, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from lab.errors import LabError
from lab.serving import client
from tests.images.stack import free_port

GOOD = {
    "prediction": "setosa",
    "class_id": 0,
    "probabilities": {"setosa": 0.9, "versicolor": 0.1, "virginica": 0.0},
    "model": {"name": "iris", "version": "3", "run_id": "abc"},
    "request_id": "1",
}


@contextmanager
def service(*answers: tuple[int, Any]) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these answers one after the other, the last one again and again; and the bodies it was sent."""
    left, bodies = list(answers), list[Any]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, content = left.pop(0) if len(left) > 1 else left[0]
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def test_a_prediction() -> None:
    with service((200, GOOD)) as (url, bodies):
        answer = client.predict_text(url, "5.1, 3.5,1.4,0.2")
    assert bodies == [{"features": [5.1, 3.5, 1.4, 0.2]}]
    assert (answer.species, answer.version, answer.run_id) == ("setosa", "3", "abc")
    assert answer.probabilities["setosa"] == 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs the model's values"),
        (" ", "needs the model's values"),
        ("5.1,3.5,1.4,two", "'two' is not a number"),
        ("5.1,3.5,1.4,", "'' is not a number"),
        ("nan,1,1,1", "'nan' is not a finite number"),
        ("1e999,1,1,1", "'1e999' is not a finite number"),
    ],
)
def test_wrong_features_never_reach_the_service(text: str, message: str) -> None:
    with pytest.raises(LabError) as raised:
        client.numbers(text)
    assert message in raised.value.message
    assert raised.value.hint == "for example: ./inv predict --features 5.1,3.5,1.4,0.2"


def test_a_service_without_a_model_is_asked_again_for_a_while() -> None:
    missing = {
        "detail": "no model to answer with: no model 'iris' with alias 'champion' is registered",
        "request_id": "",
    }
    with service((503, missing), (503, missing), (200, GOOD)) as (url, bodies):
        assert client.predict(url, [1, 2, 3, 4], sleep=lambda _seconds: None).species == "setosa"
        assert len(bodies) == 3
    with service((503, missing)) as (url, _), pytest.raises(client.NotReady) as raised:
        client.predict(url, [1, 2, 3, 4], patience=0)
    assert "no model 'iris' with alias 'champion' is registered" in raised.value.message
    assert "./inv train" in raised.value.hint


def test_nobody_listening_says_what_to_type() -> None:
    with pytest.raises(LabError) as raised:
        client.predict(f"http://127.0.0.1:{free_port()}", [1, 2, 3, 4], patience=0)
    assert "does not answer" in raised.value.message
    assert "./inv train --n-estimators 200" in raised.value.hint


def test_how_many_values_there_are_is_for_the_model_to_say() -> None:
    own = {"prediction": "Adelie", "probabilities": {"Adelie": 1.0, "Gentoo": 0.0}}
    with service((200, GOOD | own)) as (url, bodies):
        assert client.predict_text(url, "39.1,18.7,181").species == "Adelie"
    assert bodies == [{"features": [39.1, 18.7, 181]}]
    words = "3 values, but the model takes 4: sepal_length, sepal_width, petal_length, petal_width"
    wrong = {"detail": [{"loc": ["body", "features"], "msg": words, "type": "length"}]}
    with service((422, wrong)) as (url, _), pytest.raises(LabError) as raised:
        client.predict_text(url, "39.1,18.7,181")
    assert raised.value.message == words


def test_the_services_own_words_about_a_value() -> None:
    detail = [{"loc": ["body", "features", 0], "msg": "sepal_length must be from 0 to 25.9, not 5000", "type": "range"}]
    with service((422, {"detail": detail})) as (url, _), pytest.raises(LabError, match="sepal_length must be from 0"):
        client.predict(url, [5000, 2, 3, 4])


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (200, {"hello": 1}), (500, b"oops"), (404, {"detail": "Not Found"})]
)
def test_another_program_on_the_port(answer: tuple[int, Any]) -> None:
    with service(answer) as (url, _), pytest.raises(LabError):
        client.predict(url, [1, 2, 3, 4], patience=0)
