"""NetworkPolicies on real pods: programs of any language, by pod address and by Service, from before the first container runs."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time

import pytest

from kubesim.errors import NotFound
from kubesim.node import mounts, sentry
from kubesim.node.rules import Rules
from kubesim.resources import Object
from tests.kubesim.node.lab import NAMESPACE, Lab, container

SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(self.client_address[0].encode())
http.server.HTTPServer(("0.0.0.0", 5000), Answer).serve_forever()
"""
CALL = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())"
CURL = ["curl", "-sS", "--max-time", "20"]


asks = pytest.mark.skipif(not sentry.available(), reason="this kernel has no seccomp user notification")


async def serve(lab: Lab) -> Object:
    await lab.pod("web", sys.executable, "-c", SERVER, container={"readinessProbe": {"tcpSocket": {"port": 5000}}})
    pod = await lab.ready("web")
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 5000}]},
    }
    await lab.client.create("v1/services", service, NAMESPACE)
    piece: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 5000, "protocol": "TCP"}],
        "endpoints": [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}}],
    }
    await lab.client.create("discovery.k8s.io/v1/endpointslices", piece, NAMESPACE)
    return pod


async def only_from(lab: Lab, app: str) -> None:
    body: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "web"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": app}}}]}],
        },
    }
    await lab.client.create("networking.k8s.io/v1/networkpolicies", body, NAMESPACE)


async def outcome(lab: Lab, name: str, *command: str) -> tuple[str, str]:
    """(phase, output) of a pod that runs this command to its end."""
    await lab.pod(name, *command, restartPolicy="Never")
    pod = await lab.until(name, lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), 30)
    return pod["status"]["phase"], lab.log(name)


async def until_enforced(lab: Lab) -> None:
    deadline = time.monotonic() + 10
    while not lab.node.isolation.rules.ingress:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@asks
async def test_only_whom_a_policy_lets_in_reaches_a_pod(lab: Lab) -> None:
    web = await serve(lab)
    address = web["status"]["podIP"]
    service = (await lab.client.get("v1/services", "web", NAMESPACE))["spec"]["clusterIP"]
    places = [f"http://{address}:5000/", f"http://{service}:5000/", "http://web:5000/"]
    for number, place in enumerate(places):
        phase, out = await outcome(lab, f"before-{number}", sys.executable, "-c", CALL, place)
        assert (phase, out.startswith("127.10.")) == ("Succeeded", True), out
    await only_from(lab, "friend")
    await until_enforced(lab)
    for number, place in enumerate(places):
        phase, out = await outcome(lab, f"stranger-{number}", sys.executable, "-c", CALL, place)
        assert phase == "Failed", out
        assert "timed out" in out
    for number, place in enumerate(places):
        body = {"image": "lab/busybox:1", "command": [sys.executable, "-c", CALL, place]}
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"friend-{number}", "labels": {"app": "friend"}},
            "spec": {"nodeName": "kubesim-node", "restartPolicy": "Never", "containers": [{"name": "main", **body}]},
        }
        await lab.client.create("v1/pods", pod, NAMESPACE)
        ended = await lab.until(f"friend-{number}", lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), 30)
        assert ended["status"]["phase"] == "Succeeded", lab.log(f"friend-{number}")
    reader, writer = await asyncio.open_connection(address, 5000)  # the node itself is always let in
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"200 OK" in await reader.read()
    writer.close()
    await lab.client.delete("networking.k8s.io/v1/networkpolicies", "web", NAMESPACE)
    deadline = time.monotonic() + 10
    while lab.node.isolation.rules:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert (await outcome(lab, "after", sys.executable, "-c", CALL, places[0]))[0] == "Succeeded"


@asks
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
async def test_programs_in_c_leave_from_their_pod_and_are_refused_too(lab: Lab) -> None:
    web = await serve(lab)
    address = web["status"]["podIP"]
    phase, out = await outcome(lab, "before", *CURL, f"http://{address}:5000/")
    assert (phase, out.startswith("127.10.")) == ("Succeeded", True), out
    assert out != address
    await only_from(lab, "friend")
    await until_enforced(lab)
    phase, out = await outcome(lab, "stranger", *CURL, f"http://{address}:5000/")
    assert phase == "Failed"
    assert "timed out" in out.lower() or "connect" in out.lower()


@asks
async def test_nobody_takes_anothers_address(lab: Lab) -> None:
    await serve(lab)
    taken = "import socket; s = socket.socket(); s.bind((sys.argv[1], 0))".replace(
        "import socket", "import socket, sys"
    )
    other = (await lab.client.get("v1/pods", "web", NAMESPACE))["status"]["podIP"]
    phase, out = await outcome(lab, "thief", sys.executable, "-S", "-c", taken, other)
    assert phase == "Failed"
    assert "Cannot assign requested address" in out


@asks
async def test_a_server_that_binds_everything_is_on_its_pod_only(lab: Lab) -> None:
    """Also one that is not Python, or does not load its start-up files."""
    plain = "import socket; s = socket.create_server(('0.0.0.0', 5001)); print(s.getsockname(), flush=True); s.accept()"
    await lab.pod(
        "plain", sys.executable, "-S", "-E", "-c", plain, container={"readinessProbe": {"tcpSocket": {"port": 5001}}}
    )
    pod = await lab.ready("plain")
    for _ in range(500):  # it listens before it says so
        if lab.log("plain"):
            break
        await asyncio.sleep(0.02)
    assert lab.log("plain").strip() == str((pod["status"]["podIP"], 5001))


async def test_without_policies_nothing_is_sent(lab: Lab) -> None:
    await lab.run("a", "true")
    assert lab.node.isolation.rules == Rules()
    with pytest.raises(NotFound):
        await lab.client.get("networking.k8s.io/v1/networkpolicies", "web", NAMESPACE)


@pytest.mark.skipif(not mounts.available().processes, reason="this user may not have PID namespaces here")
async def test_a_container_sees_and_signals_its_own_processes_only(lab: Lab) -> None:
    await lab.pod("alone", "sh", "-c", "echo $$$$; ls /proc | grep -c '^[0-9]'; sleep 1000; true")
    await lab.phase("alone", "Running")
    await lab.until("alone", lambda _: lab.log("alone").count("\n") == 2)
    first, seen = lab.log("alone").split()
    assert first == "1"
    assert int(seen) <= 4
    worker = lab.node.worker(NAMESPACE, "alone")
    assert worker is not None
    run = worker.containers[0].run
    assert run is not None
    code, out = await lab.node.host.prober.run(
        run.id, ["sh", "-c", "kill -9 1; kill 1; echo $(cat /proc/1/cmdline)"], 10
    )
    assert (code, b"sleep 1000" in out) == (0, True)
    assert run.running
    code, _ = await lab.node.host.prober.run(run.id, ["sh", "-c", "kill -9 $(pidof sleep || pgrep sleep)"], 10)
    assert code == 0
    await lab.until("alone", lambda pod: container(pod)["state"].get("terminated") or container(pod)["restartCount"])


@pytest.mark.skipif(not mounts.available().processes, reason="this user may not have PID namespaces here")
async def test_a_program_that_says_nothing_about_a_signal_ends_by_it_and_one_that_handles_it_is_asked(lab: Lab) -> None:
    handler = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('ready', flush=True); signal.pause()"
    )
    await lab.pod("silent", "sleep", "1000", restartPolicy="Never")
    await lab.pod("polite", sys.executable, "-c", handler, restartPolicy="Never")
    await lab.phase("silent", "Running")
    await lab.phase("polite", "Running")
    await lab.until("polite", lambda _: lab.log("polite") == "ready\n")
    for name, code in (("silent", 143), ("polite", 7)):
        worker = lab.node.worker(NAMESPACE, name)
        assert worker is not None
        run = worker.containers[0].run
        assert run is not None
        await lab.node.runtime.signal(run.id, 15)
        pod = await lab.phase(name, "Failed")
        assert container(pod)["state"]["terminated"]["exitCode"] == code
