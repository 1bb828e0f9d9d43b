"""What makes a function a command: an invoke task whose LabError becomes one message, a hint and an exit code."""

import functools
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from invoke.tasks import task

F = TypeVar("F", bound=Callable[..., Any])


def command(**options: Any) -> Callable[[F], Any]:
    """An invoke task whose LabError becomes one message, a hint and an exit code; Ctrl-C is 130."""

    def decorate(body: F) -> Any:
        @functools.wraps(body)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            from lab.errors import LabError

            gc.set_threshold(100_000)  # a command lives for seconds; looking for garbage is a fifth of its imports
            try:
                return body(*args, **kwargs)
            except LabError as error:
                print(f"✗ {error.message}" + (f"\n  → {error.hint}" if error.hint else ""), file=sys.stderr)
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                print(
                    "\n✗ stopped; what was started keeps running\n  → ./inv up goes on, ./inv down stops it",
                    file=sys.stderr,
                )
                sys.exit(130)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        return task(guarded, **options)

    return decorate
