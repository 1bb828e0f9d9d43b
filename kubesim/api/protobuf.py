"""Kubernetes's protobuf bodies, which typed Go clients (kubectl create, kubectl autoscale) send whatever the server prefers."""

from __future__ import annotations

from kubesim.errors import UnsupportedMedia
from kubesim.resources import Object


def decode(data: bytes, kind: str) -> Object:
    raise UnsupportedMedia("protobuf is not read yet")
