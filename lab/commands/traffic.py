"""The iris service and who asks it."""

from invoke.context import Context

from lab.commands.command import command


@command(help={"features": "sepal length, sepal width, petal length, petal width in cm", "json_": "print JSON"})
def predict(ctx: Context, features: str = "", json_: bool = False) -> None:
    """Ask the iris service: ./inv predict --features 5.1,3.5,1.4,0.2"""
    from lab import serving, show, world

    answer = serving.predict_text(f"http://127.0.0.1:{world.load().settings.ports.serving}", features)
    show.predicted(answer, as_json=json_)
