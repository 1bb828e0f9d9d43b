"""Sessions of STS outlive the process: ministack forgets them, and a student's temporary keys would die with a restart."""

import time
from typing import Any

from awssim.overrides.replace import replace


def apply() -> None:
    from ministack.services import sts

    def get_state() -> dict[str, Any]:
        now = time.time()
        return {
            "sessions": {
                key: value
                for key, value in sts._sessions.items()
                if not value.get("Expiration") or value["Expiration"] > now
            }
        }

    def load_persisted_state(saved: dict[str, Any]) -> None:
        sts._sessions.update(saved.get("sessions", {}))

    replace(sts, "get_state", lambda _: get_state)
    replace(sts, "load_persisted_state", lambda _: load_persisted_state)
