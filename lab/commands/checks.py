"""The course's checks, and what can be broken to rehearse them."""

import os
import sys

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(
    help={
        "user": "one tenant or several: 01, 01,20, 01..05, all ($USER_NUM, as in the course's scripts; else all)",
        "part": "kubeflow, mlflow or storage (all three)",
        "json_": "print JSON",
        "lang": "en or ko, the guides' own layout ($LAB_LANG; else en)",
        "junit": "also write JUnit XML to this file",
        "html": "also write one self-contained page to this file",
        "watch": "again every few seconds until all is green",
        "cluster": "current: the cluster of your kubeconfig, as you; it is only read",
        "aws": "real: AWS itself, with your own keys; it is only read",
    }
)
def verify(
    ctx: Context,
    user: str = "",
    part: str = "",
    json_: bool = False,
    lang: str = "",
    junit: str = "",
    html: str = "",
    watch: bool = False,
    cluster: str = "",
    aws: str = "",
) -> None:
    """Run the course's 23 checks as each tenant; the exit code is the number of failed checks: ./inv verify --user 01"""
    from lab import messages, world
    from lab import verify as verification

    user = user or os.environ.get("USER_NUM", "")
    lang = lang or messages.language()
    out = verification.output(as_json=json_, lang=lang, junit=junit, html=html)
    messages.use("ko" if lang == "ko" else "en")
    loaded = world.load(cluster=cluster, aws=aws)
    sys.exit(verification.main(loaded, out, user=user, part=part, watch=watch))


@command(
    help={"active": "only what is broken now", "user": "whose names to show (the first tenant)", "json_": "print JSON"}
)
def faults(ctx: Context, active: bool = False, user: str = "", json_: bool = False) -> None:
    """What can be broken on purpose, the symptom a student sees and the cure: ./inv faults --active"""
    from lab import show, verify, world
    from lab.faults import REGISTRY
    from lab.faults import rehearse as rehearsals

    loaded = world.load()
    if active:
        show.active(loaded, list(rehearsals.active(loaded, verify.started(loaded))), as_json=json_)
    else:
        tenant = loaded.settings.one(user) if user else loaded.settings.people[0]
        show.faults(loaded, REGISTRY, tenant, as_json=json_)


@command(
    changes=True, name="break", positional=["fault"], help={"fault": "its name, see ./inv faults", "user": "whose"}
)
def break_(ctx: Context, fault: str, user: str = "") -> None:
    """Break one thing of a tenant: ./inv break mlflow-down --user 07"""
    from lab import faults as known
    from lab import show, verify, world

    loaded = world.load()
    chosen, tenant = known.find(fault), verify.started_one(loaded, user)
    chosen.break_it(loaded, tenant)
    show.broken(loaded, chosen, tenant)


@command(changes=True, positional=["fault"], help={"fault": "its name, see ./inv faults --active", "user": "whose"})
def mend(ctx: Context, fault: str, user: str = "") -> None:
    """Mend what break broke: ./inv mend mlflow-down --user 07"""
    from lab import faults as known
    from lab import verify, world

    loaded = world.load()
    chosen, tenant = known.find(fault), verify.started_one(loaded, user)
    chosen.mend_it(loaded, tenant)
    print(t("✓ {name} of {user} is mended", name=chosen.name, user=tenant.user))


@command(
    changes=True,
    help={"user": "the tenant to rehearse with (07)", "fault": "only this one", "all_": "all faults (the default)"},
)
def rehearse(ctx: Context, user: str = "07", fault: str = "", all_: bool = False) -> None:
    """Break, notice, mend, prove: one fault after another, with a report to print: ./inv rehearse --fault mlflow-down"""
    from lab import faults as known
    from lab import verify, world
    from lab.faults import rehearse as rehearsals
    from lab.reports import rehearsal
    from lab.tenancy import users

    loaded = world.load()
    chosen = [known.find(fault)] if fault else known.REGISTRY
    done = rehearsals.rehearse(loaded, verify.started_one(loaded, user), chosen, say=print)
    path = loaded.settings.state / "reports" / "rehearsal.md"
    users.write_private(path, rehearsal.render(done))
    good = sum(one.good for one in done)
    print(t("\n{good} of {done} as expected; report: {path}", good=good, done=len(done), path=path))
    sys.exit(min(len(done) - good, 250))
