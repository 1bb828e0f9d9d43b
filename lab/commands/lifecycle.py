"""The lab itself: up, down, what runs, and a tenant's shell."""

import json
import sys

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(
    changes=True,
    help={
        "tenants": "user numbers, for example 01,20 or 01..05 (all)",
        "cluster": "auto, sim, kind, k3s, current",
        "aws": "auto, standin, ...",
        "nodes": "how many nodes a kind cluster has (1)",
        "bundle": "install from this file, without a network",
        "yes": "agree to changing a cluster or an account that is not the lab's own",
    },
)
def up(
    ctx: Context,
    tenants: str = "",
    cluster: str = "",
    aws: str = "",
    nodes: str = "",
    bundle: str = "",
    yes: bool = False,
) -> None:
    """Bring the lab up: cluster, AWS, tenants, MLflow, serving: ./inv up --tenants 01,20"""
    from lab import consent, show, world
    from lab.bundle import use
    from lab.up import up as bring_up

    loaded = world.load(cluster=cluster, aws=aws, nodes=nodes)
    if bundle:
        use.provide(loaded.settings, bundle, loaded.provider.name, say=print)
    people = loaded.settings.choose(tenants)
    show.choice(loaded)
    for provider in (loaded.provider, loaded.aws):
        consent.obtain(provider, yes=yes, terminal=sys.stdin.isatty(), say=print)
    show.summary(loaded, people, bring_up(loaded, people, show.console))


@command(changes=True, help={"purge": "also remove everything the lab kept"})
def down(ctx: Context, purge: bool = False) -> None:
    """Stop the lab; its data stays for the next up: ./inv down --purge"""
    from lab import world
    from lab.down import down as take_down

    take_down(world.load(), purge=purge, say=print)


@command(help={"json_": "print JSON"})
def status(ctx: Context, json_: bool = False) -> None:
    """What runs, what waits and why; exit code 1 where something does not run: ./inv status --json"""
    from lab import show, world
    from lab.status import status as look

    found = look(world.load())
    print(json.dumps(found.as_json(), indent=2)) if json_ else show.status(found)
    sys.exit(0 if found.good else 1)


@command(
    positional=["name"],
    help={
        "name": "start of a pod's name, or kubesim, awssim",
        "namespace": "where it runs",
        "follow": "go on as more is written",
        "tail": "how many lines",
    },
)
def logs(ctx: Context, name: str, namespace: str = "", follow: bool = False, tail: int = 100) -> None:
    """Show a workload's log: ./inv logs mlflow-server --namespace kubeflow-user01"""
    from lab import logs as log_files
    from lab import world

    for line in log_files.logs(world.load(), name, namespace=namespace, follow=follow, tail=tail):
        print(line, flush=follow)


@command(help={"json_": "print JSON"})
def doctor(ctx: Context, json_: bool = False) -> None:
    """What this machine has and lacks for the lab, and the cure: ./inv doctor"""
    from lab import doctor as examination
    from lab import show, world

    findings = examination.diagnose(world.load())
    show.findings(findings, as_json=json_)
    examination.require_good(findings)


@command(help={"user": "the tenant, for example 01"})
def env(ctx: Context, user: str = "") -> None:
    """Print a tenant's environment: eval "$(./inv env --user 01)" """
    import shlex

    from lab import world
    from lab.tenancy import users

    loaded = world.load()
    for key, value in users.environment(loaded.settings, loaded.settings.one(user)).items():
        print(f"export {key}={shlex.quote(value)}")


@command(help={"user": "as this tenant (the administrator)"})
def kubectl(ctx: Context, user: str = "") -> None:
    """Run kubectl on the lab: ./inv kubectl -- get pods -A"""
    from lab import world
    from lab.host import shell
    from lab.tenancy import users

    loaded = world.load()
    tool = shell.find("kubectl", hint=t("install kubectl, or use ./inv status and ./inv logs, which need none"))
    path = users.kubeconfig_path(loaded.settings, loaded.settings.one(user)) if user else loaded.kubeconfig
    sys.exit(shell.become([tool, *(getattr(ctx, "remainder", "") or "").split()], environ={"KUBECONFIG": str(path)}))
