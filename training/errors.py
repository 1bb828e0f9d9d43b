"""What can go wrong in a training, and whether another try is any use.

    TrainingError               another try may succeed; exit code 1
    ├── Unavailable             MLflow or S3 did not answer in the time the retries allow
    ├── NoSpace                 a file could not be written: the disk (or the pod's /tmp) is full
    ├── Stopped                 somebody stopped the Job (SIGTERM)
    └── Final                   another try would end the same; exit code 2, which the Job's podFailurePolicy knows
        ├── BadArguments        the command line is wrong
        ├── BadData             the table cannot be trained on
        ├── FormsDiffer         the model's two forms do not answer alike
        ├── BadModel            a version's files are not a model that may be served
        └── NoSuchVersion       the registry has no such version, run or earlier champion

The message says what happened and to which object; it becomes the run's tag `failure`.
"""

from __future__ import annotations

from typing import ClassVar


class TrainingError(Exception):
    exit_code: ClassVar[int] = 1


class Unavailable(TrainingError):
    pass


class NoSpace(TrainingError):
    pass


class Stopped(TrainingError):
    pass


class Final(TrainingError):
    exit_code = 2


class BadArguments(Final):
    pass


class BadData(Final):
    pass


class FormsDiffer(Final):
    pass


class BadModel(Final):
    pass


class NoSuchVersion(Final):
    pass
