"""Before the lab changes a cluster that it did not make, somebody reads which one, and agrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lab.errors import LabError
from lab.messages import t


class Asking(Protocol):
    """A provider of a cluster or of AWS, as far as it asks for something."""

    @property
    def name(self) -> str: ...

    def question(self) -> str | None: ...

    def agree(self) -> None: ...


def obtain(
    provider: Asking, *, yes: bool, terminal: bool, say: Callable[[str], None], ask: Callable[[str], str] = input
) -> None:
    """Returns when the provider may go on. Raises LabError where nobody agreed; nothing has been changed then.

    `yes` is the answer given on the command line; without it somebody at a terminal is asked, and nobody else is assumed to agree.
    """
    question = provider.question()
    if question is None:
        return
    if not yes and not terminal:
        raise LabError(
            t("{question}\nnobody agreed to that, and nothing was changed", question=question),
            t("the same command with --yes agrees"),
        )
    say(question)
    if not yes and _answer(ask) != "yes":
        raise LabError(t("nothing was changed"), t("LAB_CONTEXT=NAME means another context of your kubeconfig"))
    provider.agree()


def _answer(ask: Callable[[str], str]) -> str:
    try:
        return ask(t("type yes to go on: ")).strip().lower()
    except EOFError:
        return ""
