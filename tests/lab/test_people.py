"""Adding and removing people: what is written down, what is refused, what removing says first."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import people, settings
from lab.errors import LabError, SettingsError
from lab.settings import Settings


def load(state: Path) -> Settings:
    return settings.load(environ={"LAB_STATE": str(state)})


def test_added_people_are_of_the_class_from_then_on(tmp_path: Path) -> None:
    assert people.add(load(tmp_path), "16..18,40", "student") == ("16", "17", "18", "40")
    found = {tenant.num: tenant for tenant in load(tmp_path).people}
    assert len(found) == 20
    assert (found["17"].cpu, found["17"].memory, found["17"].namespace) == ("8", "16Gi", "kubeflow-user17")
    assert settings.added_path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_number_named_twice_is_one_person(tmp_path: Path) -> None:
    assert people.add(load(tmp_path), "17,16,16", "student") == ("16", "17")
    assert load(tmp_path).one("16").num == "16"


def test_an_instructor_has_the_instructors_quota(tmp_path: Path) -> None:
    people.add(load(tmp_path), "21", "instructor")
    added = load(tmp_path).one("21")
    assert (added.role, added.cpu, added.memory) == ("instructor", "16", "32Gi")


def test_a_second_group_joins_the_first(tmp_path: Path) -> None:
    people.add(load(tmp_path), "16", "student")
    people.add(load(tmp_path), "17", "student")
    assert {"16", "17"} <= {tenant.num for tenant in load(tmp_path).people}


@pytest.mark.parametrize(
    ("users", "role", "message"),
    [
        ("16", "teacher", "no role 'teacher'"),
        ("00", "student", "'00' is not a user number"),
        ("abc", "student", "'abc' is not a user number"),
        ("100", "student", "'100' is not a user number"),
        ("15..17", "student", "user15 is in the class already"),
        ("18..16", "student", "is not a range"),
        ("", "student", "is not a user number"),
    ],
)
def test_what_is_refused_is_not_written(tmp_path: Path, users: str, role: str, message: str) -> None:
    with pytest.raises(LabError, match=message) as refusal:
        people.add(load(tmp_path), users, role)
    assert refusal.value.hint
    assert not settings.added_path(tmp_path).exists()


def test_a_damaged_file_is_named_with_the_cure(tmp_path: Path) -> None:
    settings.added_path(tmp_path).write_text("- role: student\n  users: ['1']\n")
    with pytest.raises(SettingsError, match=r"tenants\.yaml is damaged") as refusal:
        load(tmp_path)
    assert "rm " in refusal.value.hint


def test_removing_says_first_what_it_deletes_and_keeps_the_bucket_unless_told(tmp_path: Path) -> None:
    tenant = load(tmp_path).one("07")
    kept = "\n".join(people.describe([tenant], bucket=False))
    assert "Profile profile-user07, namespace kubeflow-user07 with everything in it, IAM user user07" in kept
    assert "5 ECR repositories with their images" in kept
    assert "kept: s3://mlops-training-user07 and database mlflow_user07" in kept
    gone = "\n".join(people.describe([tenant], bucket=True))
    assert "images, s3://mlops-training-user07 and database mlflow_user07" in gone
