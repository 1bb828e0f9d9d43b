"""Training, and what comes of it."""

import sys
from typing import Any

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(
    changes=True,
    help={
        "n_estimators": "trees of the forest (100)",
        "max_depth": "depth of a tree; none for no limit",
        "run_name": "name of the MLflow run",
        "experiment": "MLflow experiment (iris)",
        "model": "registered model (iris, which the service serves)",
        "seed": "of the split, the folds and the forest (42)",
        "data": "a CSV file of your own; its last column is the class",
        "tenant": "train in this tenant's namespace, as the tenant",
        "follow": "show the log and wait for the result",
        "json_": "print the result as JSON",
    },
)
def train(
    ctx: Context,
    n_estimators: int = 100,
    max_depth: str = "none",
    run_name: str = "",
    experiment: str = "iris",
    model: str = "iris",
    seed: int = 42,
    data: str = "",
    tenant: str = "",
    follow: bool = True,
    json_: bool = False,
) -> None:
    """Train the iris model as a Kubernetes Job: ./inv train --n-estimators 200"""
    from lab import show, world
    from lab.experiments import training

    options = training.Options(
        n_estimators=n_estimators,
        max_depth=max_depth,
        run_name=run_name,
        experiment=experiment,
        model=model,
        seed=seed,
        data=data,
    )
    say = show.aside if json_ else print
    show.trained(training.run(world.load(), options, tenant=tenant, follow=follow, say=say), as_json=json_)


@command(
    changes=True,
    iterable=["grid"],
    help={
        "grid": "NAME=VALUE,VALUE,...; may be repeated: n_estimators, max_depth, seed, test_size, folds",
        "parallel": "trainings at a time, as the tenant's quota allows (3)",
        "name": "of the sweep; the same name goes on with it (made of grid and data)",
        "experiment": "MLflow experiment (iris)",
        "model": "registered model that the best becomes a version of (iris)",
        "data": "a CSV file of your own; its last column is the class",
        "tenant": "train in this tenant's namespace, as the tenant",
        "json_": "print the result as JSON",
    },
)
def sweep(
    ctx: Context,
    grid: Any,
    parallel: int = 3,
    name: str = "",
    experiment: str = "iris",
    model: str = "iris",
    data: str = "",
    tenant: str = "",
    json_: bool = False,
) -> None:
    """Train every point of a grid: ./inv sweep --grid n_estimators=50,100,200 --grid max_depth=5,10,none --parallel 3"""
    from lab import show, world
    from lab.errors import LabError
    from lab.experiments import show as shown
    from lab.experiments import sweep as sweeps
    from lab.experiments.mlflow import Place

    options = sweeps.Options(
        grids=tuple(grid), parallel=parallel, name=name, experiment=experiment, model=model, data=data
    )
    place = Place.of(world.load(), tenant)
    console = shown.aside if json_ else show.console
    try:
        with shown.following(live=not json_, to=console) as watch:
            found = sweeps.run(place, options, say=show.aside if json_ else print, show=watch)
    except KeyboardInterrupt:
        hint = t(
            "the same command goes on with it; kubectl delete job -l mlops-lab/sweep -n {namespace} ends it",
            namespace=place.namespace,
        )
        raise LabError(t("stopped watching; the sweep goes on in the cluster"), hint, exit_code=130) from None
    shown.outcome(found, as_json=json_)
    if found.failed:
        words = "; ".join(f"{row.parameters.point}: {row.failure or row.state}" for row in found.failed[:3])
        raise LabError(
            t("{failed} of {rows} points failed: {words}", failed=len(found.failed), rows=len(found.rows), words=words),
            t("the same command tries them again"),
        )


@command(
    help={
        "experiment": "only this MLflow experiment (all)",
        "sweep": "only this sweep's",
        "most": "how many, the newest first (30)",
        "tenant": "this tenant's runs, as the tenant",
        "json_": "print JSON",
    }
)
def runs(
    ctx: Context, experiment: str = "", sweep: str = "", most: int = 30, tenant: str = "", json_: bool = False
) -> None:
    """Trainings and what came of them, the newest first: ./inv runs --experiment iris"""
    from lab import world
    from lab.experiments import show
    from lab.experiments.grid import checked_name
    from lab.experiments.mlflow import Place
    from lab.experiments.runs import listed

    place = Place.of(world.load(), tenant)
    chosen = checked_name(sweep) if sweep else ""
    show.runs(listed(place, experiment=experiment, sweep=chosen, most=most), as_json=json_)


@command(
    positional=["left", "right"],
    help={
        "left": "a run: its id, the beginning of it, or its name",
        "right": "another",
        "tenant": "this tenant's runs, as the tenant",
        "json_": "print JSON",
    },
)
def compare(ctx: Context, left: str, right: str, tenant: str = "", json_: bool = False) -> None:
    """Two runs side by side, differences marked: ./inv compare RUN RUN"""
    from lab import world
    from lab.experiments import compare as comparison
    from lab.experiments import show
    from lab.experiments.mlflow import Place
    from lab.experiments.runs import find

    place = Place.of(world.load(), tenant)
    show.compared(comparison.compare(find(place, left), find(place, right)), as_json=json_)


@command(
    changes=True,
    positional=["version"],
    help={
        "version": "a version's number, or a run, whose model is registered where it was not",
        "model": "registered model (iris, which the service serves)",
        "tenant": "in this tenant's registry, as the tenant",
        "json_": "print JSON",
    },
)
def promote(ctx: Context, version: str, model: str = "iris", tenant: str = "", json_: bool = False) -> None:
    """Make a version champion, after its files were inspected: ./inv promote 3"""
    from lab import show, world
    from lab.experiments import promote as promotion
    from lab.experiments import show as shown
    from lab.experiments.mlflow import Place

    say = show.aside if json_ else print
    place = Place.of(world.load(), tenant)
    shown.promoted(promotion.promote(place, version, model=model, say=say), as_json=json_)


@command(
    changes=True,
    help={
        "model": "registered model (iris, which the service serves)",
        "tenant": "in this tenant's registry, as the tenant",
        "json_": "print JSON",
    },
)
def rollback_model(ctx: Context, model: str = "iris", tenant: str = "", json_: bool = False) -> None:
    """Back to the champion before this one; again, and it is the one before that: ./inv rollback-model"""
    from lab import show, world
    from lab.experiments import promote as promotion
    from lab.experiments import show as shown
    from lab.experiments.mlflow import Place

    say = show.aside if json_ else print
    shown.promoted(promotion.rollback(Place.of(world.load(), tenant), model=model, say=say), as_json=json_)


@command(
    changes=True,
    positional=["run"],
    help={
        "run": "its id, the beginning of it, or its name",
        "tenant": "this tenant's run, as the tenant",
        "json_": "print JSON",
    },
)
def reproduce(ctx: Context, run: str, tenant: str = "", json_: bool = False) -> None:
    """Train a run again and compare the models byte for byte; exit code 1 where they differ: ./inv reproduce RUN"""
    from lab import show, world
    from lab.experiments import reproduce as reproduction
    from lab.experiments import show as shown
    from lab.experiments.mlflow import Place

    say = show.aside if json_ else print
    found = reproduction.reproduce(Place.of(world.load(), tenant), run, say=say)
    shown.reproduced(found, as_json=json_)
    sys.exit(0 if found.same else 1)
