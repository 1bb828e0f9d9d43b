"""python -m kubesim serve | stop | image"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from kubesim.server import Locked, Settings, serve


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return int(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubesim", description="A Kubernetes API, its controllers and one node in one program.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    start = commands.add_parser("serve", help="run the cluster in the foreground")
    start.add_argument("--state", type=Path, required=True, help="where everything is kept")
    start.add_argument("--address", default="127.0.0.1")
    start.add_argument("--port", type=int, default=16443)
    start.add_argument("--name", default="kubesim", help="the cluster's name in its kubeconfig")
    start.add_argument("--stop-containers", action="store_true", help="end containers too when asked to stop (SIGTERM)")
    start.set_defaults(run=_serve)
    return parser


def _serve(arguments: argparse.Namespace) -> int:
    settings = Settings(arguments.state, arguments.address, arguments.port, arguments.name)
    try:
        asyncio.run(_until_signalled(settings))
    except Locked as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _until_signalled(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await serve(settings, stopped)


if __name__ == "__main__":
    sys.exit(main())
