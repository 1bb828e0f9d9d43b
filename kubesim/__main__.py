"""python -m kubesim serve | stop | image build | image list"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kubesim import launch
from kubesim.lock import Locked, holder
from kubesim.node import shims

if TYPE_CHECKING:
    from kubesim.server import Settings

STOP_SECONDS = 90.0  # fifty containers that end in their own time, on a busy laptop


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except (Locked, OSError) as error:
        print(f"kubesim: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubesim", description="A Kubernetes API, its controllers and one node in one program."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _serve_parser(commands.add_parser("serve", help="run the cluster in the foreground"))
    stop = commands.add_parser("stop", help="stop the cluster and its containers")
    stop.add_argument("--state", type=Path, required=True)
    stop.add_argument("--keep-containers", action="store_true", help="stop the server only")
    stop.set_defaults(run=_stop)
    images = commands.add_parser("image", help="the node's images").add_subparsers(required=True, metavar="COMMAND")
    build = images.add_parser("build", help="make an image of a Dockerfile's last stage")
    build.add_argument("--state", type=Path, required=True)
    build.add_argument("--tag", required=True, help="NAME:TAG")
    build.add_argument("--file", type=Path, help="CONTEXT/Dockerfile where left out")
    build.add_argument("context", type=Path, metavar="CONTEXT")
    build.set_defaults(run=_build)
    listed = images.add_parser("list", help="what images there are")
    listed.add_argument("--state", type=Path, required=True)
    listed.set_defaults(run=_list)
    return parser


def _serve_parser(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--state", type=Path, required=True, help="where everything is kept")
    serve.add_argument("--address", default="127.0.0.1", help="a loopback address")
    serve.add_argument("--port", type=int, default=16443)
    serve.add_argument("--name", default="kubesim", help="the cluster's name in its kubeconfig")
    serve.add_argument(
        "--stop-containers", action="store_true", help="end containers too when asked to stop by SIGTERM"
    )
    serve.add_argument(
        "--authentication-token-webhook-url",
        default="",
        help="who is asked about tokens that are not the cluster's own",
    )
    serve.add_argument("--verbose", action="store_true")
    serve.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    level = logging.DEBUG if arguments.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with shims.head_start(arguments.state.resolve()):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    with launch.importing():
        from kubesim.node import kubelet  # noqa: F401  what `running` would import in its own time
        from kubesim.server import Settings
    settings = Settings(arguments.state, arguments.address, arguments.port, arguments.name)
    settings = replace(
        settings, stop_containers=arguments.stop_containers, token_webhook=arguments.authentication_token_webhook_url
    )
    with asyncio.Runner(loop_factory=launch.loop) as runner:
        runner.run(_until_signalled(settings))
    return 0


async def _until_signalled(settings: Settings) -> None:
    """SIGTERM leaves containers running for the next server to adopt; SIGINT (kubesim stop) ends them."""
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def signalled(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled, number)
    from kubesim.server import running

    async with running(settings) as cluster:
        launch.settle()
        print(f"kubesim is ready at {cluster.url} (kubeconfig: {settings.state / 'admin.kubeconfig'})", flush=True)
        cluster.stop_containers = await stopped == signal.SIGINT or settings.stop_containers


def _stop(arguments: argparse.Namespace) -> int:
    pid = holder(arguments.state)
    if pid is not None:
        os.kill(pid, signal.SIGTERM if arguments.keep_containers else signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while holder(arguments.state) == pid:
            if time.monotonic() > deadline:
                print(
                    f"kubesim: pid {pid} has not stopped within {STOP_SECONDS:.0f} s: kill -9 {pid} loses nothing",
                    file=sys.stderr,
                )
                return 1
            time.sleep(0.02)
    elif not arguments.keep_containers and arguments.state.exists():
        from kubesim.node.daemons import end_all

        asyncio.run(end_all(arguments.state.resolve()))
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from kubesim.node.images import BuildError, InvalidImageName, build

    try:
        image = build(arguments.state.resolve(), arguments.context, tag=arguments.tag, file=arguments.file)
    except (BuildError, InvalidImageName) as error:
        print(f"kubesim: {error}", file=sys.stderr)
        return 1
    print(f"{image.name} {image.digest}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from kubesim.node.images import ImageStore

    for image in ImageStore(arguments.state.resolve()).list():
        print(f"{image.name} {image.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
