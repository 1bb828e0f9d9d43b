"""Runs the checks of whoever is due and publishes what they said."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from lab import checks, verify
from lab.agent import objects
from lab.agent.due import Due
from lab.agent.eyes import stamps
from lab.checks import runner
from lab.checks.base import Result, Subject
from lab.errors import LabError
from lab.faults import REGISTRY
from lab.faults.base import Fault
from lab.settings import Tenant
from lab.world import World

log = logging.getLogger(__name__)

WIDTH = 3


class Rounds:
    """`start` makes the workers; they end with the process."""

    def __init__(self, world: World, due: Due) -> None:
        self._world = world
        self._due = due
        self._subjects: dict[str, tuple[tuple[float, ...], Subject]] = {}
        self._broken: dict[str, list[tuple[Fault, Tenant]]] = {}
        self._told: list[tuple[str, str]] | None = None
        self._telling = threading.Lock()

    def start(self) -> None:
        for number in range(WIDTH):
            threading.Thread(target=self._work, name=f"checks-{number}", daemon=True).start()

    def _work(self) -> None:
        while (number := self._due.next()) is not None:
            try:
                self.check(self._world.settings.one(number))
            except LabError as error:
                log.warning("user%s: %s", number, error.message)
            except Exception:
                # One tenant's surprise must not end the checks of the others; it stays in the log.
                log.exception("user%s", number)
            finally:
                self._due.done(number)

    def check(self, tenant: Tenant) -> None:
        """All 23 as this tenant; the report is in the cluster when this returns."""
        started = time.monotonic()
        subject = self._subject(tenant)
        results = list(runner.on_one(subject, checks.REGISTRY))
        seconds = time.monotonic() - started
        report = objects.report(
            self._world.settings,
            tenant,
            results,
            seconds=seconds,
            bucket=_bucket(subject) if _sees_s3(results) else None,
        )
        self._world.cluster.apply(report)
        self._tell_broken(tenant, results)

    def _subject(self, tenant: Tenant) -> Subject:
        """Kept while the tenant's credentials are the same: making its clients costs more than the checks."""
        stamp = stamps(self._world.settings, tenant)
        known = self._subjects.get(tenant.num)
        if known is None or known[0] != stamp:
            known = self._subjects[tenant.num] = (stamp, verify.subject(self._world, tenant))
        return known[1]

    def _tell_broken(self, tenant: Tenant, results: Sequence[Result]) -> None:
        """Only faults whose checks are red are looked for: looking for all of them costs as much as the checks."""
        red = {result.code for result in results if result.state == "fail"}
        self._broken[tenant.num] = [
            (fault, tenant) for fault in REGISTRY if red & set(fault.reddens) and fault.active(self._world, tenant)
        ]
        self.publish_broken()

    def publish_broken(self) -> None:
        with self._telling:
            found = [pair for number in sorted(self._broken) for pair in self._broken[number]]
            # A fault of the whole lab is told once.
            first = {(f.name, "" if f.scope == "lab" else who.num): (f, who) for f, who in reversed(found)}
            told = sorted((fault.name, tenant.num) for fault, tenant in first.values())
            if told != self._told:
                self._world.cluster.apply(objects.active(self._world, [first[key] for key in sorted(first)]))
                self._told = told


def _sees_s3(results: Sequence[Result]) -> bool:
    return any(result.code == "ST01" and result.state == "pass" for result in results)


def _bucket(subject: Subject) -> objects.Bucket | None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = subject.aws("s3").get_paginator("list_objects_v2").paginate(Bucket=subject.tenant.bucket)
        sizes = [int(item["Size"]) for page in pages for item in page.get("Contents", [])]
    except (BotoCoreError, ClientError):
        return None
    return objects.Bucket(len(sizes), sum(sizes))
