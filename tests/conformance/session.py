"""One person at a terminal: the real kubectl, every command and answer kept in test-output/*-transcript.txt."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TRANSCRIPTS = Path(__file__).parents[2] / "test-output"
SECONDS = 60.0


@dataclass
class Kubectl:
    """`kubectl("get pods")` answers what was printed; a command that fails, or should have and did not, is an AssertionError."""

    kubeconfig: Path
    folder: Path
    seconds: float = SECONDS
    transcript: str = "kubectl-transcript.txt"
    commands: int = field(default=0, init=False)

    def __call__(self, line: str, *, stdin: str | None = None, code: int = 0) -> str:
        done = self.run(line, stdin=stdin)
        assert done.returncode == code, f"kubectl {line}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def run(self, line: str, *, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["kubectl", *shlex.split(line)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=2 * self.seconds,
            env=self.environment,
            cwd=self.folder,
            check=False,
        )
        self._note(line, stdin, done)
        return done

    def start(self, line: str, *, terminal: int | None = None) -> subprocess.Popen[str]:
        """A command that goes on: -w, logs -f, port-forward. The caller ends it (`with ended(...)`). `terminal` is all three of its streams."""
        self._write(f"$ kubectl {line} &\n")
        return subprocess.Popen(
            ["kubectl", *shlex.split(line)],
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def until(self, line: str, expected: str, *, seconds: float = SECONDS) -> str:
        """Asks again until the answer matches; for what no watch tells (top, a proxy's backends)."""
        deadline = time.monotonic() + seconds
        while True:
            done = self.run(line)
            if re.search(expected, done.stdout + done.stderr):
                return done.stdout
            assert time.monotonic() < deadline, f"kubectl {line}: never {expected!r}\n{done.stdout}{done.stderr}"
            time.sleep(0.2)

    @property
    def environment(self) -> dict[str, str]:
        own = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder), "EDITOR": str(self.folder / "editor")}
        return {**os.environ, **own}

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _note(self, line: str, stdin: str | None, done: subprocess.CompletedProcess[str]) -> None:
        given = f" <<'EOF'\n{stdin.rstrip()}\nEOF" if stdin else ""
        code = f"[exit {done.returncode}]\n" if done.returncode else ""
        self._write(f"$ kubectl {line}{given}\n{_short(done.stdout)}{_short(done.stderr)}{code}\n")

    def _write(self, text: str) -> None:
        self.commands += 1
        TRANSCRIPTS.mkdir(exist_ok=True)
        with (TRANSCRIPTS / self.transcript).open("w" if self.commands == 1 else "a") as file:
            file.write(text)


def _short(text: str, lines: int = 60) -> str:
    """Long answers are cut in the transcript; tokens and keys are not shown at all."""
    hidden = re.sub(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>", text)
    hidden = re.sub(r"(LS0tLS1CRUdJTi)[\w+/=]+", r"\1...", hidden)
    kept = hidden.splitlines(keepends=True)
    return "".join(kept[:lines]) + (f"... ({len(kept) - lines} more lines)\n" if len(kept) > lines else "")


class ended:  # noqa: N801  a context manager
    """A started command, ended with the block."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __enter__(self) -> subprocess.Popen[str]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def line_of(process: subprocess.Popen[str], expected: str) -> str:
    """The next line that matches; the program's end before it is an error."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(expected, line):
            return line
    raise AssertionError(f"{process.args!r} ended without {expected!r}: {''.join(seen)}")


def eventually(check: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Until a check of the outside world holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)
