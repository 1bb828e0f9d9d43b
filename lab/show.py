"""What tasks print: functions of results to the terminal. Nothing here asks the cluster."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from lab.clusters.base import Finding
from lab.messages import mark, t
from lab.messages.cells import left
from lab.said import said
from lab.settings import Tenant
from lab.status import Status, urls
from lab.world import World

if TYPE_CHECKING:
    from lab.experiments.training import TrainResult
    from lab.faults.base import Fault
    from lab.progress import Progress
    from lab.serving.client import Prediction

console = Console(highlight=False, soft_wrap=True)


def aside(line: str) -> None:
    """Progress beside an answer that a program reads."""
    print(line, file=sys.stderr)


def choice(world: World) -> None:
    """One line: which providers, and why."""
    console.print(
        t(
            "cluster: {cluster} ({provider_why}); AWS: {aws} ({aws_why})",
            cluster=world.provider.name,
            provider_why=world.provider_why,
            aws=world.aws.name,
            aws_why=world.aws_why,
        ),
        style="dim",
    )


def summary(world: World, people: Sequence[Tenant], done: Sequence[Progress]) -> None:
    if not done:
        console.print(t("the lab is up already; nothing to do"))
    console.print()
    tenants = (t("tenants"), ", ".join(tenant.user for tenant in people))
    for name, value in (*_urls(urls(world.settings)), tenants, ("kubeconfig", str(world.kubeconfig))):
        console.print(f"  {left(name, 17)}{value}", soft_wrap=True, markup=False)
    if world.aws.capabilities.shortcomings:
        console.print(t("  note: {text}", text=t(world.aws.capabilities.shortcomings)), style="yellow")
    console.print(t("\nnext:"))
    for command, what in _NEXT:
        console.print(f"  {command:<46}{t(what)}", soft_wrap=True)


_NEXT = (
    ("./inv train --n-estimators 200", mark("train and register a model")),
    ("./inv predict --features 5.1,3.5,1.4,0.2", mark("ask the iris service")),
    ("./inv verify", mark("the course's checks for every tenant")),
    ('eval "$(./inv env --user 01)"', mark("a shell as tenant 01")),
)


def status(found: Status) -> None:
    for name, kind, good in ((t("cluster"), found.cluster, found.cluster_up), ("AWS", found.aws, found.aws_up)):
        console.print(
            Text(
                f"{'✓' if good else '✗'} {name} ({kind}) {t('answers') if good else t('is down: ./inv up')}",
                "green" if good else "red",
            )
        )
    if found.workloads:
        console.print(t("  tenants started: {tenants}", tenants=", ".join(found.tenants) or t("none")))
    ready = [workload for workload in found.workloads if not workload.missing]
    if found.workloads:
        console.print(t("  workloads ready: {ready} of {workloads}", ready=len(ready), workloads=len(found.workloads)))
    for workload in found.workloads:
        if workload.missing:
            console.print(f"  ✗ {workload.missing}", style="yellow")
    for name, url in _urls(found.urls):
        console.print(f"  {left(name, 18)}{url}")


def _urls(found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(t(name), url) for name, url in found]


def findings(found: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        _json([asdict(finding) for finding in found])
        return
    for finding in found:
        console.print(
            Text(
                f"{'✓' if finding.good else '✗'} {left(t(finding.subject), 22)}{finding.seen}",
                "" if finding.good else "red",
            )
        )
        if not finding.good and finding.cure:
            console.print(f"    → {finding.cure}")


def trained(result: TrainResult | None, *, as_json: bool) -> None:
    if result is None:
        return
    if as_json:
        print(json.dumps(asdict(result), indent=2))
        return
    alias = (
        t("moved here")
        if result.champion
        else t(
            "stays: {reason}; ./inv promote {version} moves it",
            reason=said(result.champion_reason),
            version=result.version,
        )
    )
    for name, value in (
        (t("accuracy"), f"{result.accuracy:.4f}"),
        (t("F1 (macro)"), f"{result.f1:.4f}"),
        (t("run"), result.run_url),
        (t("artifacts"), result.s3_uri),
        (t("registered"), t("{model} version {version}", model=result.model, version=result.version)),
        (t("champion"), alias),
        (t("took"), f"{result.seconds:.1f} s"),
    ):
        console.print(f"  {left(name, 12)}{value}", soft_wrap=True, markup=False)


def predicted(answer: Prediction, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(answer), indent=2))
        return
    console.print(Text(answer.species, "bold"))
    for species, probability in answer.probabilities.items():
        console.print(f"  {species:<12}{probability:.4f}  {'█' * round(probability * 20)}")
    console.print(
        t(
            "  {model} version {version}, run {run_id}",
            model=answer.model,
            version=answer.version,
            run_id=answer.run_id,
        ),
        style="dim",
    )


def faults(world: World, known: Sequence[Fault], tenant: Tenant, *, as_json: bool) -> None:
    """Symptom and cure with this tenant's names, for an example."""
    if as_json:
        _json([_fault(world, fault, tenant) for fault in known])
        return
    for fault in known:
        console.print(f"{fault.name:<26}{t(fault.title)}" + (t(" (whole lab)") if fault.scope == "lab" else ""))
        console.print(t("    the student sees  {words}", words=fault.words(fault.symptom, world, tenant)), style="dim")
        console.print(t("    the cure          {words}", words=fault.words(fault.cure, world, tenant)), style="dim")
        console.print(t("    turns red         {reddens}", reddens=", ".join(fault.reddens)), style="dim")


def _fault(world: World, fault: Fault, tenant: Tenant) -> dict[str, object]:
    return {
        "name": fault.name,
        "title": fault.title,
        "scope": fault.scope,
        "tenant": tenant.user,
        "symptom": fault.words(fault.symptom, world, tenant),
        "cure": fault.words(fault.cure, world, tenant),
        "checks": fault.reddens,
    }


def _json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def active(world: World, found: Sequence[tuple[Fault, Tenant]], *, as_json: bool) -> None:
    if as_json:
        _json([_fault(world, fault, tenant) for fault, tenant in found])
        return
    if not found:
        console.print(t("nothing is broken"))
    for fault, tenant in found:
        console.print(
            t(
                "✗ {name} ({user}): {title}\n    → ./inv mend {name} --user {number}",
                name=fault.name,
                user=tenant.user,
                title=t(fault.title),
                number=tenant.num,
            )
        )


def broken(world: World, fault: Fault, tenant: Tenant) -> None:
    console.print(t("broken for {user}: {title}", user=tenant.user, title=t(fault.title)))
    console.print(t("  the student sees  {words}", words=fault.words(fault.symptom, world, tenant)))
    console.print(t("  the cure          {words}", words=fault.words(fault.cure, world, tenant)))
    console.print(t("  or                ./inv mend {name} --user {number}", name=fault.name, number=tenant.num))


_ROLES = {"student": mark("student"), "instructor": mark("instructor")}


def people(world: World, *, as_json: bool) -> None:
    from lab import fresh

    started = fresh.started(world)
    if as_json:
        _json([{**tenant.model_dump(), "up": tenant.num in started} for tenant in world.settings.people])
        return
    for tenant in world.settings.people:
        state = t("up") if tenant.num in started else t("not started")
        console.print(
            f"{tenant.user}  {left(t(_ROLES[tenant.role]), 11)}{tenant.namespace:<18}cpu {tenant.cpu:<4}{t('memory')} {tenant.memory:<6}{state}"
        )


def removal(lines: Sequence[str]) -> None:
    console.print(t("this deletes:"))
    for line in lines:
        console.print(f"  {line}")
