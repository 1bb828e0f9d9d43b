"""What one run of the checks has asked about one tenant's own things.

Several checks look at the same thing: the namespace, the Profile, the pods, the bucket's objects. A thing is asked for once in a run, as the
tenant, and every check that looks at it judges that answer; the next run asks again. Two kinds of questions are never remembered: the attempts
that isolation must refuse, which are tried for real each time, and whatever was refused or failed, so that each check tells its own error.

One thread runs a tenant's checks, so there is no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

Answer = TypeVar("Answer")


class Answers:
    """By question; a question is a tuple that begins with what is asked ("list", "v1", "Pod", NAMESPACE)."""

    def __init__(self) -> None:
        self._known: dict[Hashable, object] = {}

    def once(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """The answer to `question`: of `ask`, where it was not asked yet. What `ask` raises is not kept."""
        if question not in self._known:
            self._known[question] = ask()
        return cast(Answer, self._known[question])

    def known(self, question: Hashable) -> bool:
        return question in self._known
