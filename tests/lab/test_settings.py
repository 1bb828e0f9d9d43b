"""lab.yaml: what it means, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import settings
from lab.errors import LabError, SettingsError

MINIMAL = """\
cluster: sim
ports:
  api: 17443
tenants:
  - role: student
    users: ["01", "02", "07"]
    cpu: "8"
    memory: 16Gi
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "lab.yaml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.load(write(folder, text), environ)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value.message


def test_the_projects_own_lab_is_the_course() -> None:
    lab = settings.load()
    assert [tenant.num for tenant in lab.people] == [f"{n:02d}" for n in range(1, 16)] + ["20"]
    first, last = lab.people[0], lab.people[-1]
    assert (first.profile, first.namespace, first.bucket, first.email) == (
        "profile-user01",
        "kubeflow-user01",
        "mlops-training-user01",
        "user01@mlops.local",
    )
    assert (first.cpu, first.memory, last.cpu, last.memory, last.role) == ("8", "16Gi", "16", "32Gi", "instructor")
    assert first.repositories == (
        "mlops-training/user01",
        "mlops-training/user01/iris-api",
        "mlops-user01-preprocessing",
        "mlops-user01-training",
        "mlops-user01-inference",
    )


def test_environment_overrides_single_values(tmp_path: Path) -> None:
    environ = {"LAB_CLUSTER": "kind", "LAB_PORTS_API": "18443", "LAB_STATE": str(tmp_path / "state")}
    lab = settings.load(write(tmp_path, MINIMAL), environ)
    assert (lab.cluster, lab.ports.api, lab.ports.aws, lab.state) == ("kind", 18443, 4566, tmp_path / "state")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "cluster: sim",
            "cluster: simm",
            "lab.yaml:1: cluster: Input should be 'auto', 'sim', 'kind', 'k3s' or 'current' (found 'simm')",
        ),
        (
            "  api: 17443",
            "  api: 99999",
            "lab.yaml:3: ports.api: Input should be less than or equal to 65535 (found 99999)",
        ),
        ("  api: 17443", "  apis: 17443", "lab.yaml:3: ports.apis: Extra inputs are not permitted (found 17443)"),
        ("  api: 17443", "  api: 4566", "lab.yaml:2: ports: two services have the same port"),
        ('"07"]', '"00"]', "lab.yaml:6: tenants.0.users: user number 00 is not allowed; numbers are 01 to 99"),
        ('"07"]', '"7"]', "lab.yaml:6: tenants.0.users.2: String should match pattern '^[0-9]{2}$' (found '7')"),
        ('"07"]', '"01"]', "user number 01 is listed twice"),
        ("memory: 16Gi", "memory: lots", "lab.yaml:8: tenants.0.memory"),
        ("tenants:", "tenants", "lab.yaml:5: "),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert told in refusal(tmp_path, MINIMAL.replace(old, new))


def test_a_wrong_variable_is_told_too(tmp_path: Path) -> None:
    assert "ports.api: Input should be a valid integer" in refusal(tmp_path, MINIMAL, LAB_PORTS_API="many")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert "a mapping of keys is expected" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", ["01", "02", "07"]), ("1", ["01"]), ("07,01", ["01", "07"]), ("user02", ["02"]), ("01..02", ["01", "02"])],
)
def test_choosing_tenants(tmp_path: Path, text: str, numbers: list[str]) -> None:
    lab = settings.load(write(tmp_path, MINIMAL), {})
    assert [tenant.num for tenant in lab.choose(text)] == numbers


@pytest.mark.parametrize("text", ["03", "00", "abc", "1..", "01..03", "001", "-1"])
def test_unknown_tenants_are_refused(tmp_path: Path, text: str) -> None:
    lab = settings.load(write(tmp_path, MINIMAL), {})
    with pytest.raises(LabError) as caught:
        lab.choose(text)
    assert caught.value.hint


def test_one_tenant_means_one(tmp_path: Path) -> None:
    lab = settings.load(write(tmp_path, MINIMAL), {})
    assert lab.one("7").email == "user07@mlops.local"
    for text in ("", "01,02"):
        with pytest.raises(LabError):
            lab.one(text)
