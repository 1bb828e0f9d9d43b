"""``python -m awssim serve --state DIR``."""

import argparse
import dataclasses
import sys
from pathlib import Path

from awssim.errors import StandinError
from awssim.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        from awssim.server import serve

        serve(_settings(parsed))
    except StandinError as error:
        print(f"awssim: {error}", file=sys.stderr)
        return 1
    return 0


def _settings(parsed: argparse.Namespace) -> Settings:
    asked = Settings(
        state=parsed.state.absolute(), address=parsed.address, port=parsed.port, eks_endpoint=parsed.eks_endpoint,
        eks_ca=parsed.eks_ca, tls_certificate=parsed.tls_certificate, tls_key=parsed.tls_key,
    )  # fmt: skip
    if not parsed.tls_authority:
        return asked
    from awssim.certificate import issue

    names = [*asked.addresses, "127.0.0.1", "localhost", f"{asked.account}.dkr.ecr.{asked.region}.amazonaws.com"]
    key = parsed.tls_authority_key or parsed.tls_authority.with_suffix(".key")
    files = issue(parsed.tls_authority, key, folder=asked.state / "tls", names=names)
    return dataclasses.replace(asked, tls_certificate=files[0], tls_key=files[1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="awssim", description="S3, ECR, IAM, STS and EKS on this machine, with no account."
    )
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve until SIGTERM")
    serve.add_argument("--state", type=Path, required=True, help="directory of keys, objects, images and settings")
    serve.add_argument(
        "--address", default="127.0.0.1", help="address to listen on, or several with commas (default: loopback only)"
    )
    serve.add_argument("--port", type=int, default=4566)
    serve.add_argument(
        "--eks-endpoint", default="https://127.0.0.1:16443", help="API server that describe-cluster names"
    )
    serve.add_argument("--eks-ca", type=Path, help="PEM file of that server's CA; read when asked")
    serve.add_argument("--tls-certificate", type=Path, help="serve HTTPS with this certificate (PEM)")
    serve.add_argument("--tls-key", type=Path, help="its key (PEM)")
    serve.add_argument(
        "--tls-authority", type=Path, help="serve HTTPS with a certificate made by this CA, the lab's (PEM)"
    )
    serve.add_argument("--tls-authority-key", type=Path, help="its key (default: the .key beside it)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
