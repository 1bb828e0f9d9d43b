"""The iris service and who asks it."""

import sys

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(help={"features": "sepal length, sepal width, petal length, petal width in cm", "json_": "print JSON"})
def predict(ctx: Context, features: str = "", json_: bool = False) -> None:
    """Ask the iris service: ./inv predict --features 5.1,3.5,1.4,0.2"""
    from lab import show, world
    from lab.serving import client

    answer = client.predict_text(f"http://127.0.0.1:{world.load().settings.ports.serving}", features)
    show.predicted(answer, as_json=json_)


@command(
    changes=True,
    help={
        "rps": "requests a second (500)",
        "seconds": "how long (90); then a trickle until the replicas are down again",
        "pattern": "step, ramp or spike",
        "kill_pod_at": "kill a pod of the service at this second; several: 30,60",
        "kill_mlflow_at": "kill the shared MLflow at this second",
        "settle": "wait for the replicas to come down again",
    },
)
def load(
    ctx: Context,
    rps: str = "500",
    seconds: str = "90",
    pattern: str = "step",
    kill_pod_at: str = "",
    kill_mlflow_at: str = "",
    settle: bool = True,
) -> None:
    """Put the iris service under load and watch it scale: ./inv load --rps 500 --seconds 90 --pattern ramp"""
    from lab import world
    from lab.load import events, patterns, report, run, terminal, watch

    chosen, loaded = patterns.pattern(pattern, rps=rps, seconds=seconds), world.load()
    planned = events.planned(
        loaded.cluster, kill_pod_at=kill_pod_at, kill_mlflow_at=kill_mlflow_at, seconds=chosen.seconds
    )
    watch.look(loaded.cluster, 0)
    plan = run.Plan(run.target(loaded.settings.ports.serving), chosen, planned, settle)
    loaded.outside(
        [
            t(
                "POST {host}:{port}/predict, {pattern} up to {rps}/s for {seconds} s",
                host=plan.target.host,
                port=plan.target.port,
                pattern=pattern,
                rps=rps,
                seconds=seconds,
            ),
            *(t("DELETE a pod after {time:g} s", time=one.time) for one in planned),
        ]
    )
    done = run.run(loaded.cluster, plan, terminal.Screen(sys.stdout))
    drawn, data = report.write(done, loaded.settings.state / "reports")
    print(
        "\n".join(
            [
                "",
                *report.table(done),
                "",
                *report.verdict(done),
                t("picture: {drawn}", drawn=drawn),
                t("figures: {data}", data=data),
            ]
        )
    )
    sys.exit(1 if report.failures(done) else 0)


@command(
    changes=True,
    help={
        "image": "for example ops-demo:serving-v2; tags ops-demo:serving-NAME are built from serving/ (the next number)"
    },
)
def rollout(ctx: Context, image: str = "") -> None:
    """Another release of the iris service, pod by pod: ./inv rollout --image ops-demo:serving-v2"""
    from lab import world
    from lab.serving import rollout as releases

    releases.rollout(world.load(), image, print)


@command(changes=True, help={"to": "a revision's number (the one before)"})
def rollback(ctx: Context, to: str = "") -> None:
    """Back to the release before: ./inv rollback"""
    from lab import world
    from lab.serving import rollout as releases

    releases.rollback(world.load(), to, print)
