"""A Docker engine for tests: the one that runs, or one of the tests' own where root may start it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.build import engine
from lab.errors import ToolMissing

REGISTRY = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
AS_REGISTRY = "127.0.0.77"
"""Where the tests' own engine finds the registry's real name, by a hosts file that nothing else on this machine sees."""


@dataclass(frozen=True)
class Engine:
    """`own` where it is the tests' own: then its hosts file and its certificates may be set, and its containerd be used."""

    host: str
    folder: Path
    own: bool

    @property
    def containerd(self) -> Path:
        return self.folder / "exec" / "containerd" / "containerd.sock"

    @property
    def certificates(self) -> Path:
        return self.folder / "certs.d" / REGISTRY

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """For the time of the block it is the engine that the lab's own code finds."""
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = self.host
        try:
            yield
        finally:
            os.environ.pop("DOCKER_HOST") if before is None else os.environ.update(DOCKER_HOST=before)

    def docker(self, *command: str, text: str = "", fails: bool = False) -> str:
        """The `docker` command with a configuration of the tests' own; its output, or its errors where it is to fail."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DOCKER_HOST": self.host}
        done = subprocess.run(
            ["docker", *command], input=text, capture_output=True, text=True, check=False, env=environ
        )
        print(
            f"$ docker {' '.join(command)}\n{done.stdout}{done.stderr}".rstrip()
        )  # with -s the tests are a transcript
        assert (done.returncode != 0) == fails, f"docker {' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout


def reason_to_skip() -> str:
    """Why there is no engine and none can be started; empty where there is one or can be."""
    if shutil.which("docker") is None:
        return "the docker command is not installed"
    if engine.answers():
        return ""
    if shutil.which("dockerd") is None:
        return "no Docker engine answers, and dockerd is not installed"
    return "" if os.geteuid() == 0 else "no Docker engine answers, and only root can start one"


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """The one that DOCKER_HOST names; else one of its own where it may start one, so that a user's images are left alone; else the usual one."""
    if (
        os.environ.get("DOCKER_HOST")
        or os.geteuid() != 0
        or shutil.which("dockerd") is None
        or shutil.which("unshare") is None
    ):
        yield Engine(os.environ.get("DOCKER_HOST", engine.USUAL), folder, own=False)
        return
    made = Engine(f"unix://{folder}/docker.sock", folder, own=True)
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(["unshare", "--mount", "sh", "-ec", _script(made)], stdout=log, stderr=log)
        try:
            _until_ready(made, process)
            yield made
        finally:
            process.terminate()
            process.wait(60)


def _script(made: Engine) -> str:
    """In mounts of its own: the registry's real name is an address of loopback there, and its certificate is trusted there."""
    made.certificates.mkdir(parents=True)
    (made.folder / "hosts").write_text(f"127.0.0.1 localhost\n{AS_REGISTRY} {REGISTRY}\n")
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid", "config-file": "daemon.json"}
    (made.folder / "daemon.json").write_text("{}")
    options = " ".join(f"--{key} {made.folder}/{name}" for key, name in places.items())
    return f"""
        mkdir -p /etc/docker
        mount --bind {made.folder}/hosts /etc/hosts
        mount -t tmpfs tmpfs /etc/docker
        ln -s {made.folder}/certs.d /etc/docker/certs.d
        exec dockerd {options} --host {made.host} --bridge none --iptables=false --ip6tables=false
    """


def _until_ready(made: Engine, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with made.chosen():
                engine.connect(timeout=5).close()
            return
        except ToolMissing:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((made.folder / "dockerd.log").read_text()[-2000:]) from None
            time.sleep(0.1)
