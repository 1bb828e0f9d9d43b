"""What makes a function a command: an invoke task whose LabError becomes one message, a hint and an exit code."""

import functools
import gc
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from invoke.tasks import task

from lab.messages import VARIABLE, mark, t, unknown

F = TypeVar("F", bound=Callable[..., Any])


DRY_RUN = mark("print the API calls instead of sending them; nothing is changed")


def command(*, changes: bool = False, **options: Any) -> Callable[[F], Any]:
    """An invoke task whose LabError becomes one message, a hint and an exit code; Ctrl-C is 130.

    One that `changes` something has --dry-run.
    """

    def decorate(body: F) -> Any:
        @functools.wraps(body)
        def guarded(*args: Any, dry_run: bool = False, **kwargs: Any) -> Any:
            from lab.errors import LabError

            gc.set_threshold(100_000)  # a command lives for seconds; looking for garbage is a fifth of its imports
            try:
                _require_language()
                return _rehearsed(body, *args, **kwargs) if dry_run else body(*args, **kwargs)
            except LabError as error:
                print(f"✗ {error.message}" + (f"\n  → {error.hint}" if error.hint else ""), file=sys.stderr)
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                print(
                    t("\n✗ stopped; what was started keeps running\n  → ./inv up goes on, ./inv down stops it"),
                    file=sys.stderr,
                )
                sys.exit(130)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        if changes:
            guarded.__signature__ = _with_dry_run(body)  # type: ignore[attr-defined]
            options["help"] = {**options.get("help", {}), "dry_run": DRY_RUN}
        options["help"] = {name: t(text) for name, text in options.get("help", {}).items()}
        guarded.__doc__ = t(inspect.cleandoc(body.__doc__ or ""))
        return task(guarded, **options)

    return decorate


def _require_language() -> None:
    """Before anything is done: a wish that cannot be met is said, not passed over."""
    if wanted := unknown():
        from lab.errors import SettingsError

        raise SettingsError(t("no language {lang!r}", lang=wanted), f"{VARIABLE}=en, {VARIABLE}=ko")


def _with_dry_run(body: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(body)
    switch = inspect.Parameter("dry_run", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation=bool)
    return signature.replace(parameters=[*signature.parameters.values(), switch])


def _rehearsed(body: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Nobody is asked whether they agree: nothing is done."""
    from lab import dryrun

    agreed = {"yes": True} if "yes" in inspect.signature(body).parameters else {}
    dryrun.run(lambda: body(*args, **{**kwargs, **agreed}))
