"""Who is in the class: ./inv tenants list"""

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(name="list", default=True, help={"json_": "print JSON"})
def tenants_list(ctx: Context, json_: bool = False) -> None:
    """Who is in the class: ./inv tenants list"""
    from lab import show, world

    show.people(world.load(), as_json=json_)


@command(
    changes=True,
    name="add",
    positional=["users"],
    help={"users": "user numbers: 16, 16,17 or 16..40", "role": "student or instructor"},
)
def tenants_add(ctx: Context, users: str, role: str = "student") -> None:
    """Add people: ./inv tenants add 16..40"""
    from lab import people, world

    numbers = people.add(world.load().settings, users, role)
    print(
        t(
            "✓ added user{users}\n  → ./inv up --tenants {numbers}",
            users=", user".join(numbers),
            numbers=",".join(numbers),
        )
    )


@command(
    changes=True,
    name="remove",
    positional=["users"],
    help={
        "users": "user numbers: 16, 16,17 or 16..40",
        "bucket": "the buckets and MLflow's databases too",
        "yes": "do not ask",
    },
)
def tenants_remove(ctx: Context, users: str, bucket: bool = False, yes: bool = False) -> None:
    """Remove people, after showing what that deletes: ./inv tenants remove 16"""
    from lab import people, show, world
    from lab.errors import LabError

    loaded = world.load()
    chosen = loaded.settings.choose(users)
    show.removal(people.describe(chosen, bucket=bucket))
    if not yes and input("remove? type yes: ") != "yes":
        raise LabError(
            t("nothing was removed"), t("./inv tenants remove {users} --yes removes without asking", users=users)
        )
    people.remove(loaded, chosen, bucket=bucket, say=print)
