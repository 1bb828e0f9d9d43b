"""Conditions in a status: one of each type, with the time it last turned."""

from __future__ import annotations

from kubesim.resources import Object


def put(status: Object, kind: str, value: str, now: str, *, reason: str = "", message: str = "") -> None:
    """Sets a condition in place; its transition time moves only where the value does."""
    conditions = status.setdefault("conditions", [])
    found = next((each for each in conditions if each["type"] == kind), None)
    when = found["lastTransitionTime"] if found and found["status"] == value and "lastTransitionTime" in found else now
    condition = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": when}
    if kind != "PodScheduled":
        del condition["lastProbeTime"]
    for key, text in (("reason", reason), ("message", message)):
        if text:
            condition[key] = text
    if found is None:
        conditions.append(condition)
    else:
        conditions[conditions.index(found)] = condition
