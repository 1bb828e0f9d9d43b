"""`--dry-run`: a task runs as it would, on a lab that lets it read and writes down what it would change.

One switch, and nothing else of the lab knows of it. While `run` runs a task's body, `lab.world.load` hands out a `Planned` world:

- its clusters and AWS clients let reads pass and note writes instead of sending them (`cluster`, `aws`); an answer is made of what was sent, and
  what was written is seen by the reads that follow, so that the task goes on as it would;
- its providers note what they would start, build, stop and remove (`providers`); a cluster that would only be started now is an empty one;
- its state folder is a copy in a temporary folder (`scratch`), so files are written and read as ever, and what differs at the end is what
  would have been written;
- what has to be waited for ends the task there, with a line that says so.

Below all of it, `guard` stops whatever none of these knew about: the lab's own folder is not written to, and no process is started or
ended, whatever code is added later.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lab.dryrun.record import Ended, Record
from lab.errors import LabError
from lab.messages import plural, t

if TYPE_CHECKING:
    from lab.world import World

_current: _Run | None = None


class _Run:
    """One task's dry run."""

    def __init__(self, record: Record, folder: Path) -> None:
        self.record = record
        self.folder = folder
        self.world: World | None = None

    def plan(self, world: World) -> World:
        from lab.dryrun import guard
        from lab.dryrun.world import planned

        if self.world is None:
            guard.protect(world.settings.state, self.record)
            self.world = planned(world, self.record, self.folder / "lab")
        return self.world


def view(world: World) -> World:
    """The world a task works with: `world` itself, or in a dry run the one that changes nothing."""
    return world if _current is None else _current.plan(world)


def run(body: Callable[[], object], *, say: Callable[[str], None] | None = None) -> None:
    """Run a task's body without changing anything, a line for each thing it would have done. Raises LabError as the task would."""
    global _current
    out = say or _printer()
    record = Record(out)
    out(t("dry run: nothing is changed. What would be done:"))
    with TemporaryDirectory(prefix="mlops-lab-dry-run-") as folder:
        _current = _Run(record, Path(folder))
        try:
            # What the task says of itself ("mended") would not be true.
            with redirect_stdout(io.StringIO()):
                body()
        except (Ended, SystemExit) as end:
            _refuse_failure(end)
        except LookupError:
            # An object that was not made has no status but the first one.
            record.note("wait", t("what the cluster would make of these"))
        except LabError as error:
            raise _named(error, _current) from None
        finally:
            _stop(_current)
            _current = None
    out(plural("{count} change; nothing was done", "{count} changes; nothing was done", count=record.changes))


def _refuse_failure(end: BaseException) -> None:
    """A task that ends with the wrong-usage code of invoke has not run."""
    if isinstance(end, SystemExit) and end.code == 2:
        raise end


def _stop(run: _Run) -> None:
    from lab.dryrun import guard
    from lab.dryrun.world import Planned

    guard.release()
    if isinstance(run.world, Planned):
        for verb, what in run.world.scratch.changes():
            run.record.note(verb, what)


def _named(error: LabError, run: _Run) -> LabError:
    """The same error, the lab's folder by its own name."""
    if run.world is not None:
        from lab.dryrun.world import Planned

        assert isinstance(run.world, Planned)
        copy, own = str(run.world.scratch.folder), str(run.world.scratch.state)
        error.message, error.hint = error.message.replace(copy, own), error.hint.replace(copy, own)
    return error


def _printer() -> Callable[[str], None]:
    stdout = sys.stdout
    return lambda line: print(line, file=stdout, flush=True)
