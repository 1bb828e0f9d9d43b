"""Dockerfiles as data."""

from __future__ import annotations

import pytest

from kubesim.node import dockerfile
from kubesim.node.dockerfile import Copy, DockerfileError


def test_last_stage_with_continuations_quotes_and_arguments() -> None:
    stage = dockerfile.parse(
        """
# syntax=docker/dockerfile:1
ARG PYTHON=python:3.11
FROM ${PYTHON} AS packages
ENV LOST=yes
FROM ${PYTHON}
ARG VERSION=1
ENV A=1 B="two words" \\
    # a comment between
    C='$A' D=$A-${VERSION} E=${NOTHING:-default}
LABEL kubesim.preload="one two \\
    three"
WORKDIR /srv
WORKDIR app
COPY --chmod=600 a.txt b.txt ./
COPY --from=packages /x /y
RUN pip install x
EXPOSE 8000 53/udp
USER 10001:10001
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "-m", "x"]
CMD --flag value
"""
    )
    assert stage.base == "python:3.11"
    assert stage.env == {"A": "1", "B": "two words", "C": "$A", "D": "-1", "E": "default"}
    assert stage.labels["kubesim.preload"].split() == ["one", "two", "three"]
    assert stage.workdir == "/srv/app"
    assert stage.copies == (Copy(("a.txt", "b.txt"), "/srv/app/", "600"),)
    assert [text for text, _ in stage.skipped] == ["COPY /x /y", "RUN pip install x"]
    assert (stage.user, stage.stop_signal, stage.ports) == ("10001:10001", "SIGINT", ("8000", "53/udp"))
    assert stage.entrypoint == ("python", "-m", "x")
    assert stage.cmd == ("/bin/sh", "-c", "--flag value")


def test_stage_from_a_stage_keeps_its_config() -> None:
    stage = dockerfile.parse('FROM a AS base\nENV X=1\nCMD ["one"]\nFROM base\nENTRYPOINT ["two"]\n')
    assert (stage.env, stage.entrypoint, stage.cmd) == ({"X": "1"}, ("two",), ())


def test_build_arguments_override_defaults() -> None:
    text = "ARG V=1\nFROM x:${V}\nARG V\nENV GOT=${V}\n"
    assert dockerfile.parse(text, {"V": "2"}).base == "x:2"
    assert dockerfile.parse(text).env == {"GOT": "1"}


def test_here_documents_are_taken_along() -> None:
    stage = dockerfile.parse(
        "FROM x\nRUN <<EOF\nnot an instruction\nEOF\nCOPY <<hello.txt /data/\nhi\nhello.txt\nENV A=b\n"
    )
    assert stage.copies == (Copy((), "/data/", "", (("hello.txt", "hi\n"),)),)
    assert stage.env == {"A": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no FROM"),
        ("ENV A=1\nFROM x", "ENV comes before FROM"),
        ("FROM x\nCOPI a b", "line 2: unknown instruction: COPI"),
        ("FROM x\nCOPY a", "at least two arguments"),
        ("FROM x\nCOPY ../secret /", "outside the build context"),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message):
        dockerfile.parse(text)
