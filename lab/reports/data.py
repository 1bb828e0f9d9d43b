"""For programs: JSON, and JUnit XML as CI servers read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from xml.etree import ElementTree

from lab.checks.base import Result


def as_json(results: Sequence[Result]) -> str:
    states = ("pass", "fail", "skip")
    summary = {state: sum(result.state == state for result in results) for state in states}
    return json.dumps(
        {"summary": summary, "results": [asdict(result) for result in results]}, ensure_ascii=False, indent=2
    )


def as_junit(results: Sequence[Result]) -> str:
    """One test suite per tenant, one test case per check; seconds in `time`."""
    root = ElementTree.Element("testsuites")
    for tenant, group in groupby(results, key=lambda result: result.tenant):
        own = list(group)
        counts = {
            "tests": len(own),
            "failures": sum(r.state == "fail" for r in own),
            "skipped": sum(r.state == "skip" for r in own),
        }
        suite = ElementTree.SubElement(
            root, "testsuite", {"name": tenant} | {key: str(value) for key, value in counts.items()}
        )
        for result in own:
            attributes = {
                "classname": f"{tenant}.{result.part}",
                "name": f"{result.code} {result.title}",
                "time": f"{result.seconds:.3f}",
            }
            case = ElementTree.SubElement(suite, "testcase", attributes)
            if result.state == "fail":
                ElementTree.SubElement(case, "failure", {"message": result.message}).text = result.hint
            if result.state == "skip":
                ElementTree.SubElement(case, "skipped", {"message": result.message})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
