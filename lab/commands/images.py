"""Images on a real Docker engine, and into the registry with or without one."""

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(
    changes=True,
    help={
        "only": "some images: serving,training (postgres, mlflow, kubeflow-lite, serving, training, awssim, notebook)",
        "base": "build on this image instead of python:3.11-slim-bookworm",
        "push": "push serving and training to tenants' ECR repositories",
        "tenants": "whose repositories, with --push (01)",
        "tag": "the tag there, with --push (what the image was built of)",
    },
)
def build(ctx: Context, only: str = "", base: str = "", push: bool = False, tenants: str = "01", tag: str = "") -> None:
    """Build the images with Docker, what has changed only: ./inv build --only serving --push --tenants 01"""
    from lab import world
    from lab.build import board, choose
    from lab.build import build as build_all
    from lab.push.publish import publish

    loaded = world.load()
    chosen = choose(only)
    calls = [
        t(
            "docker build -t {tag} -f {dockerfile} {context}, where it has changed",
            tag=image.tag,
            dockerfile=image.dockerfile,
            context=image.context,
        )
        for image in chosen
    ]
    if push:
        calls += [f"docker push to the repositories of {tenant.user}" for tenant in loaded.settings.choose(tenants)]
    loaded.outside(calls)
    with board.Board() as shown:
        built = build_all(chosen, settings=loaded.settings, base=base, report=shown.report, done=shown.done)
    board.sizes(built)
    if push:
        publish(loaded, built, loaded.settings.choose(tenants), tag=tag)


@command(
    changes=True,
    positional=["image"],
    help={
        "image": "ops-demo:serving, ops-demo:training, ...; or a folder with a Dockerfile or an OCI layout",
        "tenant": "whose repository, for example 01",
        "tag": "the tag there (latest)",
        "repository": "another of the tenant's repositories",
    },
)
def push(ctx: Context, image: str, tenant: str = "", tag: str = "latest", repository: str = "") -> None:
    """Push an image to a tenant's ECR repository without Docker: ./inv push ops-demo:serving --tenant 01 --tag v1"""
    from lab import world
    from lab.push import push as push_image

    loaded = world.load()
    done = push_image(loaded, image, loaded.settings.one(tenant), tag=tag, repository=repository)
    print(
        t(
            "✓ {reference}\n  digest: {digest} size: {size}",
            reference=done.reference,
            digest=done.digest,
            size=done.size,
        )
    )
