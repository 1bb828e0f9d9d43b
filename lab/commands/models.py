"""Training, and what comes of it."""

from invoke.context import Context

from lab.commands.command import command


@command(
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
