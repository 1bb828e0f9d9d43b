"""Logs, exec, attach, port-forward, proxies and metrics, as the official Python client and kubectl use them."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes import client as kubernetes
from kubernetes import config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream

from tests.kubesim.node.lab import NAMESPACE, Lab, container

# The Python client leaves its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

T = TypeVar("T")
SERVER = ["python", "-m", "http.server", "8000"]


def kubeconfig(lab: Lab, folder: Path) -> Path:
    path = folder / "kubeconfig"
    path.write_text(lab.cluster.kubeconfig("tester", ("system:masters",)))
    return path


async def api(lab: Lab, folder: Path) -> Any:
    return kubernetes.CoreV1Api(config.new_client_from_config(str(kubeconfig(lab, folder))))


async def kubectl(lab: Lab, folder: Path, *words: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
    command = ["kubectl", "--kubeconfig", str(kubeconfig(lab, folder)), "--cache-dir", str(folder / "cache"), *words]
    return await asyncio.to_thread(
        lambda: subprocess.run(command, capture_output=True, text=True, input=input, timeout=30, check=False)
    )


async def thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


async def test_logs(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod(
        "talks", "sh", "-c", "for i in 1 2 3 4; do echo line $i; done; echo oops >&2; exit 0", restartPolicy="Never"
    )
    await lab.phase("talks", "Succeeded")

    async def read(**options: object) -> str:
        return str(await thread(lambda: core.read_namespaced_pod_log("talks", NAMESPACE, **options)))

    assert sorted((await read()).splitlines()) == ["line 1", "line 2", "line 3", "line 4", "oops"]
    assert len((await read(tail_lines=2)).splitlines()) == 2
    assert len(await read(limit_bytes=9)) == 9
    assert (await read(since_seconds=3600)) == (await read())
    stamped = (await read(timestamps=True, tail_lines=1)).split(" ", 1)
    assert stamped[0].endswith("Z")
    for options, message in (
        ({"container": "nope"}, "container nope is not valid for pod talks"),
        ({"previous": True}, 'previous terminated container "main" in pod "talks" not found'),
    ):
        with pytest.raises(ApiException) as caught:
            await read(**options)
        assert (caught.value.status, json.loads(caught.value.body or "")["message"]) == (400, message)
    with pytest.raises(ApiException) as caught:
        await read(tail_lines=-1)
    assert caught.value.status == 422


async def test_followed_logs_end_with_the_container(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod("slow", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done", restartPolicy="Never")
    await lab.until("slow", lambda pod: pod["status"]["phase"] != "Pending")

    def follow() -> list[bytes]:
        return list(core.read_namespaced_pod_log("slow", NAMESPACE, follow=True, _preload_content=False).stream())

    assert b"".join(await thread(follow)) == b"1\n2\n3\n"


async def test_exec_with_the_python_client(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod("shell", "sleep", "1000")
    await lab.phase("shell", "Running")

    def session() -> tuple[str, str, int]:
        opened = stream(
            core.connect_get_namespaced_pod_exec,
            "shell",
            NAMESPACE,
            command=["sh", "-c", "read x; echo got $x; echo err >&2; exit 5"],
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        opened.write_stdin("input\n")
        opened.run_forever(timeout=10)
        return opened.read_stdout(), opened.read_stderr(), opened.returncode

    assert await thread(session) == ("got input\n", "err\n", 5)
    simple = await thread(
        lambda: stream(
            core.connect_get_namespaced_pod_exec,
            "shell",
            NAMESPACE,
            command=["hostname"],
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
        )
    )
    assert simple in ("shell\n", socket.gethostname() + "\n")
    terminal = await thread(
        lambda: stream(
            core.connect_get_namespaced_pod_exec,
            "shell",
            NAMESPACE,
            command=["sh", "-c", "test -t 1 && echo tty"],
            stdout=True,
            stderr=False,
            stdin=False,
            tty=True,
        )
    )
    assert terminal == "tty\r\n"


async def test_a_big_output_arrives_whole(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod("shell", "sleep", "1000")
    await lab.phase("shell", "Running")
    command = ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]
    text = await thread(
        lambda: stream(
            core.connect_get_namespaced_pod_exec,
            "shell",
            NAMESPACE,
            command=command,
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
        )
    )
    assert len(text) == 3_000_000


async def test_port_forward_with_the_python_client(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod("web", *SERVER, container={"readinessProbe": {"tcpSocket": {"port": 8000}}})
    await lab.ready("web")

    def get() -> bytes:
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="8000,8001")
        connection = forward.socket(8000)
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := connection.recv(4096):
            answer += data
        connection.close()
        assert "connection refused" in (forward.error(8001) or "")
        return answer

    assert (await thread(get)).startswith(b"HTTP/1.0 200 OK")


async def test_proxies_to_pods_and_services(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod(
        "web",
        *SERVER,
        container={
            "ports": [{"containerPort": 8000, "name": "http"}],
            "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
        },
    )
    pod = await lab.ready("web")
    for port in ("", ":8000", ":http"):
        text = await thread(partial(core.connect_get_namespaced_pod_proxy_with_path, f"web{port}", NAMESPACE, "etc/"))
        assert "Directory listing for /etc/" in text
    await service(lab, pod["status"]["podIP"])
    text = await thread(lambda: core.connect_get_namespaced_service_proxy_with_path("web:80", NAMESPACE, "etc/"))
    assert "Directory listing for /etc/" in text
    with pytest.raises(ApiException) as caught:
        await thread(lambda: core.connect_get_namespaced_service_proxy("web:81", NAMESPACE))
    assert caught.value.status == 503


async def service(lab: Lab, address: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80, "targetPort": 8000}]},
    }
    await lab.client.create("v1/services", body, NAMESPACE)
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8000, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
    await lab.client.create("discovery.k8s.io/v1/endpointslices", piece, NAMESPACE)


async def test_names_addresses_and_the_service_proxy_from_inside_a_pod(lab: Lab) -> None:
    await lab.pod("web", *SERVER, container={"readinessProbe": {"tcpSocket": {"port": 8000}}})
    pod = await lab.ready("web")
    await service(lab, pod["status"]["podIP"])
    code = "\n".join(
        [
            "import socket, time, urllib.request as u",
            "for _ in range(100):",
            "    try: u.urlopen('http://web'); break",
            "    except OSError: time.sleep(.05)",
            "print([u.urlopen(f'http://{n}').status for n in ('web', 'web.default', 'web.default.svc', 'web.default.svc.cluster.local')])",
            "s = socket.create_connection(('web', 80)); print(s.getsockname()[0])",
            "try: socket.getaddrinfo('no.default.svc.cluster.local', 80)",
            "except socket.gaierror as e: print('unknown')",
            "l = socket.create_server(('127.0.0.1', 0)); print(socket.create_connection(('localhost', l.getsockname()[1])).getpeername()[0])",
            "print(socket.create_server(('0.0.0.0', 0)).getsockname()[0])",
        ]
    )
    text = await lab.run("asks", "python", "-c", code)
    address = (await lab.client.get("v1/pods", "asks", NAMESPACE))["status"]["podIP"]
    loopback = address.replace("127.10.", "127.12.")
    assert text.splitlines() == ["[200, 200, 200, 200]", address, "unknown", loopback, address]


async def test_uvloop_and_asyncio_servers_bind_to_the_pod(lab: Lab) -> None:
    code = "\n".join(
        [
            "import asyncio, sys",
            "if sys.argv[1] == 'uvloop': import uvloop; loop = uvloop.new_event_loop()",
            "else: loop = asyncio.new_event_loop()",
            "async def main():",
            "    async def echo(r, w): w.write(await r.readline()); w.close()",
            "    for host in (None, '0.0.0.0', '127.0.0.1'):",
            "        s = await asyncio.start_server(echo, host, 0); name = s.sockets[0].getsockname()",
            "        r, w = await asyncio.open_connection('localhost', name[1]); w.write(b'x\\n'); print(name[0], await r.readline())",
            "loop.run_until_complete(main())",
        ]
    )
    for kind in ("asyncio", "uvloop"):
        text = await lab.run(kind, "python", "-c", code, kind)
        address = (await lab.client.get("v1/pods", kind, NAMESPACE))["status"]["podIP"]
        loopback = address.replace("127.10.", "127.12.")
        assert text.splitlines() == [f"{host} b'x\\n'" for host in (address, address, loopback)]


async def test_metrics_of_a_busy_pod(lab: Lab, tmp_path: Path) -> None:
    await lab.pod("busy", "python", "-c", "while True: pass")
    await lab.phase("busy", "Running")
    custom = kubernetes.CustomObjectsApi(config.new_client_from_config(str(kubeconfig(lab, tmp_path))))
    deadline = time.monotonic() + 15
    while True:
        found: Any = await thread(
            partial(custom.list_namespaced_custom_object, "metrics.k8s.io", "v1beta1", NAMESPACE, "pods")
        )
        if found["items"]:
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    (one,) = found["items"]
    usage = one["containers"][0]["usage"]
    assert (one["metadata"]["name"], one["containers"][0]["name"]) == ("busy", "main")
    assert int(usage["cpu"].rstrip("n")) > 50_000_000
    assert int(usage["memory"].removesuffix("Ki")) > 1000


async def test_attach_follows_a_container_and_feeds_its_input(lab: Lab, tmp_path: Path) -> None:
    core = await api(lab, tmp_path)
    await lab.pod(
        "asks", "sh", "-c", "read x; echo hello $x", container={"stdin": True, "stdinOnce": True}, restartPolicy="Never"
    )
    await lab.phase("asks", "Running")

    def session() -> str:
        opened = stream(
            core.connect_get_namespaced_pod_attach,
            "asks",
            NAMESPACE,
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        opened.write_stdin("you\n")
        opened.run_forever(timeout=10)
        return str(opened.read_stdout())

    assert await thread(session) == "hello you\n"
    await lab.phase("asks", "Succeeded")


needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")


@pytest.mark.kubectl
@needs_kubectl
async def test_kubectl_exec_cp_and_logs(lab: Lab, tmp_path: Path) -> None:
    await lab.pod("shell", "sh", "-c", "echo started; sleep 1000")
    await lab.phase("shell", "Running")
    code = await kubectl(lab, tmp_path, "exec", "shell", "--", "sh", "-c", "echo out; exit 3")
    assert (code.returncode, code.stdout) == (3, "out\n")
    fed = await kubectl(lab, tmp_path, "exec", "-i", "shell", "--", "cat", input="through\n")
    assert fed.stdout == "through\n"
    missing = await kubectl(lab, tmp_path, "exec", "shell", "--", "nosuch")
    assert 'exec: "nosuch": executable file not found in $PATH' in missing.stderr
    (tmp_path / "file").write_text("copied\n")
    await kubectl(lab, tmp_path, "cp", str(tmp_path / "file"), "shell:/tmp/file")
    assert (await kubectl(lab, tmp_path, "exec", "shell", "--", "cat", "/tmp/file")).stdout == "copied\n"
    await kubectl(lab, tmp_path, "cp", "shell:/tmp/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "copied\n"
    assert (await kubectl(lab, tmp_path, "logs", "shell")).stdout == "started\n"


@pytest.mark.kubectl
@needs_kubectl
async def test_kubectl_port_forward_carries_many_connections_and_survives_a_restart(lab: Lab, tmp_path: Path) -> None:
    await lab.pod("web", *SERVER, container={"readinessProbe": {"tcpSocket": {"port": 8000}}})
    await lab.ready("web")
    command = [
        "kubectl",
        "--kubeconfig",
        str(kubeconfig(lab, tmp_path)),
        "port-forward",
        "pod/web",
        ":8000",
        "--address",
        "127.0.0.1",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 15)).decode()
        port = int(line.split("->")[0].rsplit(":", 1)[1])
        answers = await asyncio.gather(*(get(port) for _ in range(20)))
        assert all(answer.startswith(b"HTTP/1.0 200 OK") for answer in answers)
        worker = lab.node.worker(NAMESPACE, "web")
        assert worker is not None
        run = worker.containers[0].run
        assert run is not None
        await lab.node.runtime.signal(run.id, 9)
        await lab.until("web", lambda pod: container(pod)["restartCount"] == 1)
        assert (await get(port)).startswith(b"HTTP/1.0 200 OK")
    finally:
        process.terminate()
        await process.communicate()


async def get(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer
