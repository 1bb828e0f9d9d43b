"""What can go wrong.

StandinError                 the program cannot start or go on; its text is the one line an operator reads
├── StateInUse               another stand-in holds the state directory
└── StateUnusable            the state directory cannot be read or written
Refused                      a request is not answered: AWS's code and message, rendered by the service's protocol
└── BodyRefused              the body did not match what was signed, or broke its framing
"""


class StandinError(Exception):
    """The program cannot start or go on; the text says what happened and what to do."""


class StateInUse(StandinError):
    """Another stand-in holds the state directory."""


class StateUnusable(StandinError):
    """The state directory cannot be read or written."""


class Refused(Exception):
    """A request that is not answered. ``code`` is ministack's name of the failure, or AWS's own."""

    def __init__(self, code: str, message: str, *, status: int = 0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class BodyRefused(Refused):
    """The body did not match what was signed, or broke its framing."""
