"""The lab without a network: bundles, and the programs that real clusters need."""

from invoke.context import Context

from lab.commands.command import command
from lab.messages import t


@command(changes=True, help={"cluster": "for which kind of cluster: sim, kind, k3s", "output": "the file to write"})
def bundle(ctx: Context, cluster: str = "sim", output: str = "lab.tar.zst") -> None:
    """Everything a machine without a network needs, in one file; ./inv up --bundle FILE installs from it."""
    from pathlib import Path

    from lab import world
    from lab.bundle.collect import collect
    from lab.bundle.moving import Moving

    loaded = world.load(cluster=cluster)
    path = Path(output).expanduser().absolute()
    loaded.outside(
        [
            t("collect packages, programs and images for --cluster {name}", name=loaded.provider.name),
            t("write {path}", path=path),
        ]
    )
    with Moving() as told:
        made = collect(loaded, path, told=told)
    print(
        t(
            "{path}: {size:.0f} MB, for Python {python} on {machine}",
            path=path,
            size=path.stat().st_size / 1e6,
            python=made.python,
            machine=made.machine,
        )
    )
    print(
        t(
            "there: ./inv up --bundle {name}, or, without a clone: tar -xf {name} && cd mlops-lab && ./inv up",
            name=path.name,
        )
    )


@command(
    changes=True,
    positional=["names"],
    help={"names": "kind, kubectl, k3s; several: kind,kubectl"},
)
def tools(ctx: Context, names: str) -> None:
    """Fetch programs into .lab/bin, pinned and checked: ./inv tools kind,kubectl"""
    from lab import tools as catalogue
    from lab import world
    from lab.clusters import supply
    from lab.errors import LabError

    loaded = world.load()
    known = catalogue.known(supply.architecture())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or set(wanted) - set(known):
        what = (
            t("there is no tool {names}", names=", ".join(sorted(set(wanted) - set(known))))
            if wanted
            else t("which tools?")
        )
        raise LabError(what, f"./inv tools {','.join(known)} (any of them)")
    loaded.outside(
        [
            t("fetch {url} into {folder}", url=item.url, folder=catalogue.folder(loaded.settings.state))
            for name in wanted
            for item in (known[name].program, *known[name].others)
        ]
    )
    for name in wanted:
        catalogue.fetch(loaded.settings.state, known[name], say=print)
