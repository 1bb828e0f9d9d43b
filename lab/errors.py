"""What can go wrong in the lab, and what to type next.

    LabError                a user can cause or cure it; exit code 1
    ├── SettingsError       lab.yaml or a LAB_* variable is wrong; exit code 2
    ├── ToolMissing         a program the chosen provider needs is not installed; exit code 3
    ├── ClusterError        the cluster refused, or did not get ready in time; exit code 4
    ├── AwsError            the AWS stand-in refused or is down; exit code 5
    └── Busy                another `invoke up` or `down` holds the lab; exit code 6

Tasks print `message` and `hint` and exit with `exit_code`; nothing else in the lab calls sys.exit. No error's text holds a secret.
"""

from __future__ import annotations

from typing import ClassVar


class LabError(Exception):
    """What happened and to which object (`message`), and what to type next (`hint`)."""

    default_exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = self.default_exit_code if exit_code is None else exit_code


class SettingsError(LabError):
    default_exit_code = 2


class ToolMissing(LabError):
    default_exit_code = 3


class ClusterError(LabError):
    default_exit_code = 4


class AwsError(LabError):
    default_exit_code = 5


class Busy(LabError):
    default_exit_code = 6
