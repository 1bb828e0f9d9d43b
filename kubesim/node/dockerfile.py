"""A Dockerfile's last stage as data: what the image's config says, and which files of the context it holds.

Pure: it reads text and knows no file system. Base images are not looked at (the host's programs are visible in every container), RUN is
kept with the reason why it does nothing here, and `COPY --from` likewise: what another stage compiled is the lab's own environment.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace


class DockerfileError(Exception):
    """The Dockerfile cannot be read; the message names the line."""


@dataclass(frozen=True)
class Copy:
    """One COPY (or ADD) of files of the context. `mode` is --chmod's octal text, or empty."""

    sources: tuple[str, ...]
    target: str
    mode: str = ""
    inline: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stage:
    """What a stage leaves in the image's config, and what it skipped and why."""

    base: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = "/"
    user: str = ""
    stop_signal: str = ""
    ports: tuple[str, ...] = ()
    copies: tuple[Copy, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Instruction:
    """One instruction after continuation lines are joined. `documents` are its here-documents, by name."""

    line: int
    name: str
    flags: Mapping[str, str]
    text: str
    documents: tuple[tuple[str, str], ...] = ()


def parse(text: str, build_args: Mapping[str, str] | None = None) -> Stage:
    """The last stage. `build_args` override ARG defaults, as `docker build --build-arg` does."""
    given, global_args, stages = dict(build_args or {}), dict[str, str](), dict[str, Stage]()
    stage: Stage | None = None
    name, arguments = "", dict[str, str]()
    for step in instructions(text):
        if step.name == "FROM":
            if stage is not None:
                stages[name] = stage
            stage, name = _from(step, global_args, stages)
            arguments = {}
        elif stage is None:
            if step.name != "ARG":
                raise DockerfileError(f"line {step.line}: {step.name} comes before FROM")
            global_args |= _arg(step, global_args, given, {})
        elif step.name == "ARG":
            arguments |= _arg(step, arguments | dict(stage.env), given, global_args)
        else:
            stage = _apply(stage, step, arguments | dict(stage.env))
    if stage is None:
        raise DockerfileError("the file has no FROM")
    return stage


_FLAGGED = ("FROM", "RUN", "COPY", "ADD", "HEALTHCHECK")


def instructions(text: str) -> Iterator[Instruction]:
    """Instructions in order: comments dropped, continuation lines joined, here-documents taken along."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1].rstrip() + " " + _continuation(lines)
            line = line.rstrip()
        name, _, rest = line.partition(" ")
        flags, rest = _flags(rest.strip()) if name.upper() in _FLAGGED else ({}, rest.strip())
        documents = tuple(_documents(name.upper(), rest, lines))
        yield Instruction(line=number, name=name.upper(), flags=flags, text=rest, documents=documents)


def _continuation(lines: Iterator[tuple[int, str]]) -> str:
    for _, raw in lines:
        if raw.strip() and not raw.strip().startswith("#"):
            return raw.strip()
    return ""


def _flags(text: str) -> tuple[dict[str, str], str]:
    flags = {}
    while match := re.match(r"--([a-z-]+)(?:=(\S*))?\s*", text):
        flags[match[1]] = match[2] or ""
        text = text[match.end() :]
    return flags, text


def _documents(name: str, text: str, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[str, str]]:
    if name not in ("RUN", "COPY", "ADD"):
        return
    for dash, _, word in re.findall(r"<<(-?)(['\"]?)([A-Za-z_][\w.]*)\2", text):
        body = []
        for _, raw in lines:
            if (raw.lstrip("\t") if dash else raw) == word:
                break
            body.append(raw.lstrip("\t") if dash else raw)
        yield word, "".join(f"{line}\n" for line in body)


def _from(step: Instruction, arguments: Mapping[str, str], stages: Mapping[str, Stage]) -> tuple[Stage, str]:
    words = expand(step.text, arguments).split()
    if not words:
        raise DockerfileError(f"line {step.line}: FROM names no image")
    name = words[2] if len(words) == 3 and words[1].lower() == "as" else str(len(stages))
    return stages.get(words[0], Stage(base=words[0])), name


def _arg(
    step: Instruction, known: Mapping[str, str], given: Mapping[str, str], outer: Mapping[str, str]
) -> dict[str, str]:
    found = {}
    for word in shlex.split(step.text):
        name, has_default, default = word.partition("=")
        value = given.get(name, outer.get(name) if not has_default else expand(default, known))
        if value is not None:
            found[name] = value
    return found


def _apply(stage: Stage, step: Instruction, known: Mapping[str, str]) -> Stage:
    match step.name:
        case "ENV":
            return replace(stage, env={**stage.env, **_pairs(step, known)})
        case "LABEL":
            return replace(stage, labels={**stage.labels, **_pairs(step, known)})
        case "WORKDIR":
            return replace(stage, workdir=_join(stage.workdir, expand(step.text, known).strip("\"'")))
        case "ENTRYPOINT":
            return replace(stage, entrypoint=_command(step.text), cmd=())
        case "CMD":
            return replace(stage, cmd=_command(step.text))
        case "USER":
            return replace(stage, user=expand(step.text, known))
        case "STOPSIGNAL":
            return replace(stage, stop_signal=expand(step.text, known))
        case "EXPOSE":
            return replace(stage, ports=(*stage.ports, *expand(step.text, known).split()))
        case "COPY" | "ADD":
            return _copy(stage, step, known)
        case "RUN":
            return _skip(
                stage, step, "programs and packages are those of the host and of the environment kubesim runs in"
            )
        case "SHELL" | "VOLUME" | "HEALTHCHECK" | "ONBUILD" | "MAINTAINER":
            return _skip(stage, step, "has no meaning for a Kubernetes node")
    raise DockerfileError(f"line {step.line}: unknown instruction: {step.name}")


def _skip(stage: Stage, step: Instruction, why: str) -> Stage:
    return replace(stage, skipped=(*stage.skipped, (f"{step.name} {step.text}", why)))


def _copy(stage: Stage, step: Instruction, known: Mapping[str, str]) -> Stage:
    if "from" in step.flags:
        return _skip(stage, step, "files of other stages and images are not built here")
    words = list(_words(step.text))
    if len(words) < 2:
        raise DockerfileError(f"line {step.line}: {step.name} requires at least two arguments")
    *sources, target = (expand(word, known) for word in words)
    if any("://" in source for source in sources):
        return _skip(stage, step, "kubesim builds offline")
    if any(".." in source.split("/") for source in sources):
        raise DockerfileError(f"line {step.line}: {step.name} reaches outside the build context")
    bodies = dict(step.documents)
    named = [source.lstrip("<-").strip("'\"") for source in sources if source.startswith("<<")]
    inline = tuple((name, bodies.get(name, "")) for name in named)
    copy = Copy(
        sources=tuple(source for source in sources if not source.startswith("<<")),
        target=_join(stage.workdir, target) + ("/" if target.endswith(("/", "/.")) or target == "." else ""),
        mode=step.flags.get("chmod", ""),
        inline=inline,
    )
    return replace(stage, copies=(*stage.copies, copy))


def _words(text: str) -> Iterable[str]:
    return json.loads(text) if text.startswith("[") else shlex.split(text)


def _command(text: str) -> tuple[str, ...]:
    """Exec form, or shell form, which Docker runs by /bin/sh -c."""
    if text.startswith("["):
        try:
            return tuple(str(word) for word in json.loads(text))
        except ValueError:
            pass
    return ("/bin/sh", "-c", text)


def _pairs(step: Instruction, known: Mapping[str, str]) -> dict[str, str]:
    words = _quoted(step.text)
    if words and "=" not in words[0]:
        name, _, value = step.text.partition(" ")
        return {name: expand(value.strip(), known)}
    return {name: _unquote(value, known) for name, _, value in (word.partition("=") for word in words)}


def _quoted(text: str) -> list[str]:
    """Words split at blanks outside quotes, quotes kept: single quotes decide whether variables are expanded."""
    return re.findall(r"(?:[^\s\"'\\]|\\.|\"(?:\\.|[^\"\\])*\"|'[^']*')+", text)


def _unquote(value: str, known: Mapping[str, str]) -> str:
    parts = re.findall(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|(?:\\.|[^\"'\\])+", value)
    plain = []
    for part in parts:
        if part.startswith("'"):
            plain.append(part[1:-1])
        else:
            text = part[1:-1] if part.startswith('"') else part
            plain.append(expand(text, known))
    return "".join(plain)


_VARIABLE = re.compile(r"\\(.)|\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`; a backslash protects what follows."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return match[1]
        found = known.get(match[2] or match[3])
        if not match[4]:
            return found or ""
        if match[4].endswith("-"):
            return found if found or (found is not None and match[4] == "-") else expand(match[5], known)
        return expand(match[5], known) if found else ""

    return _VARIABLE.sub(value, text)


def _join(workdir: str, path: str) -> str:
    joined = path if path.startswith("/") else f"{workdir.rstrip('/')}/{path}"
    parts: list[str] = []
    for part in joined.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
