"""The stand-in itself: ministack's services in this process, their state on disk, and who may ask."""

import asyncio
import datetime as dt
import importlib
import logging
from typing import Any

from awssim import upstream
from awssim.asgi import Request
from awssim.eks import cluster
from awssim.errors import Refused
from awssim.files import private_directory
from awssim.journal import Journal
from awssim.registry.api import Api
from awssim.registry.registry import Registry
from awssim.root import root_key
from awssim.settings import Settings
from awssim.sidecars import Sidecars

log = logging.getLogger("awssim")
_MODULES = ("iam", "sts", "s3", "ecr", "eks")
_AT_START = ("iam", "sts", "s3", "ecr")  # eks takes as long as these together, and is asked for rarely


class Stand:
    """Made once per process: ministack keeps its state in modules."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        for directory in (settings.state, settings.services, settings.objects, settings.registry):
            private_directory(directory)
        self.root = root_key(settings)
        self.journal = Journal(settings.objects)
        self.journal.recover()
        objects = settings.objects
        self.sidecars = Sidecars(self.journal.data, objects / "index.sqlite", objects / "damaged")
        self.ministack, self.uploads = upstream.load(settings, self.root, self.journal, self.sidecars)
        self.services = upstream.SERVICES
        from awssim.state import State

        self.state = State(settings.services)
        self.modules: dict[str, Any] = {}
        upstream.route_modules(self.ministack, self.module, _MODULES)
        for name in _AT_START:
            self.module(name)
        self.registry = Registry(settings, self.module("ecr"))
        self.module("ecr").handle_request = Api(self.registry, self.module("ecr")).handle_request

    def module(self, name: str) -> Any:
        """A ministack service, with its saved state, loaded on first use."""
        if name not in self.modules:
            self.modules[name] = module = importlib.import_module(f"ministack.services.{name}")
            self.state.load(name, module)
            if name == "eks":
                cluster.apply(module, self.settings)
        return self.modules[name]

    def save(self, service: str) -> None:
        """Put on disk what a service holds; nothing is written where nothing has changed."""
        if service in _MODULES:
            self.state.save(service, self.module(service))

    def save_all(self) -> None:
        for name in self.modules:
            self.save(name)

    async def expire_objects(self) -> None:
        """Carry out the buckets' lifecycle rules, giving way to requests in between."""
        from awssim.overrides import expiry

        for number, _ in enumerate(expiry.expire(self.module("s3"), dt.datetime.now(dt.UTC))):
            if number % 50 == 49:
                await asyncio.sleep(0)

    def credential(self, access_key_id: str, session_token: str) -> Any:
        """Whose key this is, with its secret; AWS's refusal where it is nobody's, not active, or expired."""
        from ministack.core import iam_evaluator

        if access_key_id != self.root.access_key_id and iam_evaluator.is_root_access_key(access_key_id):
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
        found = iam_evaluator.resolve_credential(access_key_id, self.settings.account, session_token)
        if isinstance(found, iam_evaluator.CredentialResolutionError):
            raise Refused(found.code, found.message)
        return found

    def admit_anonymous(self, request: Request, service: str) -> None:
        """Let a request without credentials through to a bucket's own policy, and nowhere else."""
        if request.method == "OPTIONS":
            return
        if service != "s3" or not request.bucket or not self.module("s3")._bucket_owner_account(request.bucket):
            raise Refused("MissingAuthenticationToken", "Request is missing Authentication Token")

    def health(self) -> dict[str, object]:
        return {"status": "ready", "services": list(self.services), "damaged": self._damaged()}

    def _damaged(self) -> list[str]:
        """The files that were set aside, until somebody has looked at them and taken them away."""
        folders = (self.settings.services, self.settings.registry)
        found = [path for folder in folders for path in folder.glob("*.damaged-*")]
        found += self.settings.objects.glob("damaged/*")
        return sorted(map(str, found))
