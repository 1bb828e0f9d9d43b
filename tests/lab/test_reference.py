"""docs/reference.md says what the code says."""

from __future__ import annotations

from lab import reference


def test_the_reference_is_what_the_code_says() -> None:
    assert reference.PATH.read_text(encoding="utf-8") == reference.render(), "python -m lab.reference writes it anew"


def test_every_task_and_every_option_says_what_it_is_for() -> None:
    import tasks

    for name in tasks.ns.task_names:
        task = tasks.ns[name]
        assert "./inv " in (task.__doc__ or ""), f"task {name} has no help with an example"
        silent = [argument.name for argument in reference.arguments_of(task) if not argument.help]
        assert silent == [], f"options of {name} without help"
