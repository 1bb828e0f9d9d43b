"""`invoke down`: stop what the lab started, and with --purge remove what it kept."""

from __future__ import annotations

from collections.abc import Callable

from lab import choice, ui
from lab.host import ports
from lab.messages import t
from lab.world import World


def down(world: World, *, purge: bool, say: Callable[[str], None]) -> None:
    """Stops the cluster and the AWS stand-in; data stays for the next `up` unless `purge`."""
    with world.locked():
        # First: it would only report that the cluster is gone. What it is rehearsing it mends before it ends.
        world.daemon(ui.AGENT).stop(seconds=30)
        stopped = [
            name for name, stop in ((t("cluster"), world.provider.stop), (t("AWS stand-in"), world.aws.stop)) if stop()
        ]
        if purge:
            world.provider.delete()
            world.aws.delete()
            for part in ("users", "logs", "run"):
                ports.remove_tree(world.settings.state / part)
            for name in ("kubeconfig", "up.json"):
                (world.settings.state / name).unlink(missing_ok=True)
            choice.forget(world.settings.state)
    say(t("stopped: {stopped}", stopped=", ".join(stopped)) if stopped else t("nothing was running"))
    if not purge and not world.provider.capabilities.owned:
        say(
            t("the cluster is not the lab's own: what runs there goes on; ./inv down --purge removes what the lab made")
        )
    if purge:
        say(t("removed: what the lab made on its cluster, data, users and logs in {state}", state=world.settings.state))
    elif stopped:
        say(t("data is kept; ./inv up brings the same lab back, ./inv down --purge removes it"))
