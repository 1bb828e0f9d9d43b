"""The lab's tasks: `./inv --list`. Each parses its options, calls one function of `lab`, prints, and turns a LabError into its exit code."""

# invoke reads the parameters of a task itself, so annotations stay real objects here (no `from __future__ import annotations`).
import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

F = TypeVar("F", bound=Callable[..., Any])


def lab_task(**options: Any) -> Callable[[F], Any]:
    """An invoke task whose LabError becomes one message, a hint and an exit code; Ctrl-C is 130."""

    def decorate(body: F) -> Any:
        @functools.wraps(body)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            from lab.errors import LabError

            try:
                return body(*args, **kwargs)
            except LabError as error:
                print(f"✗ {error.message}" + (f"\n  → {error.hint}" if error.hint else ""), file=sys.stderr)
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                print(
                    "\n✗ stopped; what was started keeps running\n  → ./inv up goes on, ./inv down stops it",
                    file=sys.stderr,
                )
                sys.exit(130)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        return task(guarded, **options)

    return decorate


@lab_task(
    help={
        "tenants": "user numbers, for example 01,20 or 01..05 (all)",
        "cluster": "auto, sim, kind, k3s, current",
        "aws": "auto, standin, ...",
    }
)
def up(ctx: Context, tenants: str = "", cluster: str = "", aws: str = "") -> None:
    """Bring the lab up: cluster, AWS, tenants, MLflow, serving."""
    from lab import show, world
    from lab.up import up as bring_up

    loaded = world.load(cluster=cluster, aws=aws)
    people = loaded.settings.choose(tenants)
    show.choice(loaded)
    show.summary(loaded, people, bring_up(loaded, people, show.console))


@lab_task(help={"purge": "also remove everything the lab kept"})
def down(ctx: Context, purge: bool = False) -> None:
    """Stop the lab; its data stays for the next up."""
    from lab import world
    from lab.down import down as take_down

    take_down(world.load(), purge=purge, say=print)


@lab_task(
    help={
        "n_estimators": "trees of the forest (100)",
        "max_depth": "depth of a tree; none for no limit",
        "run_name": "name of the MLflow run",
        "experiment": "MLflow experiment (iris)",
        "tenant": "train in this tenant's namespace, as the tenant",
        "follow": "show the log and wait for the result",
        "json_": "print the result as JSON",
    }
)
def train(
    ctx: Context,
    n_estimators: int = 100,
    max_depth: str = "none",
    run_name: str = "",
    experiment: str = "iris",
    tenant: str = "",
    follow: bool = True,
    json_: bool = False,
) -> None:
    """Train the iris model as a Kubernetes Job: ./inv train --n-estimators 200"""
    from lab import show, training, world

    options = training.Options(n_estimators=n_estimators, max_depth=max_depth, run_name=run_name, experiment=experiment)
    say = show.aside if json_ else print
    show.trained(training.run(world.load(), options, tenant=tenant, follow=follow, say=say), as_json=json_)


@lab_task(help={"features": "sepal length, sepal width, petal length, petal width in cm", "json_": "print JSON"})
def predict(ctx: Context, features: str = "", json_: bool = False) -> None:
    """Ask the iris service: ./inv predict --features 5.1,3.5,1.4,0.2"""
    from lab import serving, show, world

    answer = serving.predict_text(f"http://127.0.0.1:{world.load().settings.ports.serving}", features)
    show.predicted(answer, as_json=json_)


@lab_task(
    help={
        "user": "one tenant or several: 01, 01,20, 01..05, all ($USER_NUM, as in the course's scripts; else all)",
        "part": "kubeflow, mlflow or storage (all three)",
        "json_": "print JSON",
        "lang": "en or ko (the guides' own layout)",
        "junit": "also write JUnit XML to this file",
        "html": "also write one self-contained page to this file",
        "watch": "again every few seconds until all is green",
    }
)
def verify(
    ctx: Context,
    user: str = "",
    part: str = "",
    json_: bool = False,
    lang: str = "en",
    junit: str = "",
    html: str = "",
    watch: bool = False,
) -> None:
    """Run the course's 23 checks as each tenant; the exit code is the number of failed checks."""
    from lab import verify as verification
    from lab import world

    user = user or os.environ.get("USER_NUM", "")
    out = verification.output(as_json=json_, lang=lang, junit=junit, html=html)
    sys.exit(verification.main(world.load(), out, user=user, part=part, watch=watch))


@lab_task(help={"json_": "print JSON"})
def status(ctx: Context, json_: bool = False) -> None:
    """What runs, what waits and why; exit code 1 where something does not run."""
    from lab import show, world
    from lab.status import status as look

    found = look(world.load())
    print(json.dumps(found.as_json(), indent=2)) if json_ else show.status(found)
    sys.exit(0 if found.good else 1)


@lab_task(
    positional=["name"],
    help={"name": "start of a pod's name, or kubesim, awssim", "namespace": "where it runs", "tail": "how many lines"},
)
def logs(ctx: Context, name: str, namespace: str = "", follow: bool = False, tail: int = 100) -> None:
    """Show a workload's log: ./inv logs mlflow-server --namespace kubeflow-user01"""
    from lab import logs as log_files
    from lab import world

    for line in log_files.logs(world.load(), name, namespace=namespace, follow=follow, tail=tail):
        print(line, flush=follow)


@lab_task(help={"user": "the tenant, for example 01"})
def env(ctx: Context, user: str = "") -> None:
    """Print a tenant's environment: eval "$(./inv env --user 01)" """
    import shlex

    from lab import users, world

    loaded = world.load()
    for key, value in users.environment(loaded.settings, loaded.settings.one(user)).items():
        print(f"export {key}={shlex.quote(value)}")


@lab_task(help={"user": "as this tenant (the administrator)"})
def kubectl(ctx: Context, user: str = "") -> None:
    """Run kubectl on the lab: ./inv kubectl -- get pods -A"""
    from lab import shell, users, world

    loaded = world.load()
    tool = shell.find("kubectl", hint="install kubectl, or use ./inv status and ./inv logs, which need none")
    path = users.kubeconfig_path(loaded.settings, loaded.settings.one(user)) if user else loaded.kubeconfig
    sys.exit(shell.become([tool, *(getattr(ctx, "remainder", "") or "").split()], environ={"KUBECONFIG": str(path)}))


@lab_task()
def doctor(ctx: Context) -> None:
    """What this machine has and lacks for the lab, and the cure."""
    from lab import doctor as examination
    from lab import show, world

    findings = examination.diagnose(world.load())
    show.findings(findings)
    examination.require_good(findings)


@lab_task(help={"what": "lab, or the name of one benchmark"})
def bench(ctx: Context, what: str = "lab") -> None:
    """Measure start, memory, training and checks on this machine."""
    from lab import bench as measurements
    from lab import world

    measurements.main(world.load(), what)


@lab_task(
    name="test",
    help={
        "only": "lint, layers, types or tests (all)",
        "k": "pytest's -k",
        "all_": "also the tests that take minutes each",
    },
)
def check(ctx: Context, only: str = "", k: str = "", all_: bool = False) -> None:
    """Lint, types, layers and tests: what CI runs."""
    from lab import quality

    sys.exit(quality.main(only=only, k=k, everything=all_))


@lab_task(name="list", default=True)
def tenants_list(ctx: Context) -> None:
    """Who is in the class."""
    from lab import show, world

    show.people(world.load())


@lab_task(
    name="add",
    positional=["users"],
    help={"users": "user numbers: 16, 16,17 or 16..40", "role": "student or instructor"},
)
def tenants_add(ctx: Context, users: str, role: str = "student") -> None:
    """Add people: ./inv tenants.add 16..40"""
    from lab import people, world

    numbers = people.add(world.load().settings, users, role)
    print(f"✓ added user{', user'.join(numbers)}\n  → ./inv up --tenants {','.join(numbers)}")


@lab_task(
    name="remove",
    positional=["users"],
    help={"users": "user numbers: 16, 16,17 or 16..40", "bucket": "the buckets too", "yes": "do not ask"},
)
def tenants_remove(ctx: Context, users: str, bucket: bool = False, yes: bool = False) -> None:
    """Remove people, after showing what that deletes: ./inv tenants.remove 16"""
    from lab import people, show, world
    from lab.errors import LabError

    loaded = world.load()
    chosen = loaded.settings.choose(users)
    show.removal(people.describe(chosen, bucket=bucket))
    if not yes and input("remove? type yes: ") != "yes":
        raise LabError("nothing was removed", f"./inv tenants.remove {users} --yes removes without asking")
    people.remove(loaded, chosen, bucket=bucket, say=print)


@lab_task(help={"active": "only what is broken now"})
def faults(ctx: Context, active: bool = False) -> None:
    """What can be broken on purpose, the symptom a student sees and the cure: ./inv faults --active"""
    from lab import show, verify, world
    from lab.faults import REGISTRY
    from lab.faults import rehearse as rehearsals

    if active:
        loaded = world.load()
        show.active(loaded, list(rehearsals.active(loaded, verify.started(loaded))))
    else:
        show.faults(REGISTRY)


@lab_task(name="break", positional=["fault"], help={"fault": "its name, see ./inv faults", "user": "whose"})
def break_(ctx: Context, fault: str, user: str = "") -> None:
    """Break one thing of a tenant: ./inv break mlflow-down --user 07"""
    from lab import faults as known
    from lab import show, world

    loaded = world.load()
    chosen, tenant = known.find(fault), loaded.settings.one(user)
    chosen.break_it(loaded, tenant)
    show.broken(loaded, chosen, tenant)


@lab_task(positional=["fault"], help={"fault": "its name, see ./inv faults --active", "user": "whose"})
def mend(ctx: Context, fault: str, user: str = "") -> None:
    """Mend what break broke: ./inv mend mlflow-down --user 07"""
    from lab import faults as known
    from lab import world

    loaded = world.load()
    chosen, tenant = known.find(fault), loaded.settings.one(user)
    chosen.mend_it(loaded, tenant)
    print(f"✓ {chosen.name} of {tenant.user} is mended")


@lab_task(
    help={"user": "the tenant to rehearse with (07)", "fault": "only this one", "all_": "all faults (the default)"}
)
def rehearse(ctx: Context, user: str = "07", fault: str = "", all_: bool = False) -> None:
    """Break, notice, mend, prove: one fault after another, with a report to print."""
    from lab import faults as known
    from lab import users, world
    from lab.faults import rehearse as rehearsals
    from lab.reports import rehearsal

    loaded = world.load()
    chosen = [known.find(fault)] if fault else known.REGISTRY
    done = rehearsals.rehearse(loaded, loaded.settings.one(user), chosen, say=print)
    path = loaded.settings.state / "reports" / "rehearsal.md"
    users.write_private(path, rehearsal.render(done))
    good = sum(one.good for one in done)
    print(f"\n{good} of {len(done)} as expected; report: {path}")
    sys.exit(min(len(done) - good, 250))


ns = Collection(
    up, down, status, logs, doctor, env, kubectl, train, predict, verify, faults, break_, mend, rehearse, bench, check
)
ns.add_collection(Collection("tenants", tenants_list, tenants_add, tenants_remove))
