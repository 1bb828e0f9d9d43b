"""lab.yaml and the LAB_* variables, read once into one frozen object.

A mistake is reported with the file's line, the value found and what is allowed; an unknown key is a mistake too, so a typo is never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lab.errors import LabError, SettingsError
from lab.messages import t
from lab.said import said

ROOT = Path(__file__).resolve().parent.parent
_QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|Ki|Mi|Gi|Ti)?$"

Port = Annotated[int, Field(ge=1, le=65535)]
NodePort = Annotated[int, Field(ge=30000, le=32767)]
UserNumber = Annotated[str, Field(pattern=r"^[0-9]{2}$")]
NameTemplate = Annotated[str, Field(pattern=r"\{num\}")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Ports(_Frozen):
    """TCP ports on 127.0.0.1."""

    api: Port = 16443
    """The Kubernetes API."""
    aws: Port = 4566
    """S3, ECR, STS, IAM and EKS."""
    ecr: Port = 4567
    """The AWS stand-in beside LocalStack, which then has `aws`; unused otherwise."""
    mlflow: NodePort = 30500
    """The shared MLflow."""
    serving: NodePort = 30080
    """The iris service."""
    dashboard: NodePort = 30082
    """The central dashboard."""
    pipelines: NodePort = 30083
    """Training Jobs and runs (ml-pipeline-ui)."""

    @model_validator(mode="after")
    def _differ(self) -> Ports:
        values = list(self.model_dump().values())
        if len(set(values)) != len(values):
            raise ValueError(t("two services have the same port"))
        return self


class Names(_Frozen):
    """How a tenant's things are named; {num} stands for the two digits."""

    profile: NameTemplate = "profile-user{num}"
    """Of the Kubeflow Profile; a later edition of the course has kubeflow-user{num}."""
    namespace: NameTemplate = "kubeflow-user{num}"
    """Of the tenant's namespace."""
    bucket: NameTemplate = "mlops-training-user{num}"
    """Of the tenant's S3 bucket."""
    email: NameTemplate = "user{num}@mlops.local"
    """Who the tenant is to Kubernetes: the Profile's owner."""


class TenantGroup(_Frozen):
    """Tenants that share a role and a quota (cpu in cores, memory as a Kubernetes quantity)."""

    role: Literal["student", "instructor"]
    """student or instructor; instructors may look into every tenant's namespace."""
    users: tuple[UserNumber, ...]
    """Two digits each, 01 to 99."""
    cpu: Annotated[str, Field(pattern=_QUANTITY)]
    """Quota of the namespace, in cores."""
    memory: Annotated[str, Field(pattern=_QUANTITY)]
    """Quota of the namespace, as a Kubernetes quantity."""

    @field_validator("users")
    @classmethod
    def _not_zero(cls, users: tuple[str, ...]) -> tuple[str, ...]:
        if "00" in users:
            raise ValueError(t("user number 00 is not allowed; numbers are 01 to 99"))
        return users


class Tenant(_Frozen):
    """One person of the course, with every name that belongs to them."""

    num: str
    role: Literal["student", "instructor"]
    cpu: str
    memory: str
    profile: str
    namespace: str
    bucket: str
    email: str

    @property
    def user(self) -> str:
        return f"user{self.num}"

    @property
    def repositories(self) -> tuple[str, ...]:
        """ECR repositories: the first two of the environment guide, the others of its storage part."""
        pipeline = tuple(f"mlops-{self.user}-{step}" for step in ("preprocessing", "training", "inference"))
        return (f"mlops-training/{self.user}", f"mlops-training/{self.user}/iris-api", *pipeline)


class Settings(_Frozen):
    """The whole lab, as lab.yaml and the environment describe it."""

    cluster: Literal["auto", "sim", "kind", "k3s", "current"] = "auto"
    """auto, sim, kind, k3s or current; `auto` is kind or k3s where it is installed and works, else sim."""
    aws: Literal["auto", "standin", "localstack", "real"] = "auto"
    """auto, standin, localstack or real; `auto` is LocalStack where Docker has it, else the stand-in."""
    nodes: Annotated[int, Field(ge=1, le=9)] = 1
    """Nodes of a cluster that the lab makes of containers (kind)."""
    context: Annotated[str, Field(max_length=253)] = ""
    """The kubeconfig context that `current` means; the file's own current one where empty."""
    registry: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._/-]*)?)?$")] = ""
    """Where images are pushed for a cluster that is not the lab's own; empty where its nodes have them."""
    host_address: Annotated[str, Field(pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){3})?$")] = ""
    """This machine's address as the nodes of another's cluster reach it; found by itself where empty."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")] = "ap-northeast-2"
    """Where buckets and repositories are."""
    account: Annotated[str, Field(pattern=r"^[0-9]{12}$")] = "123456789012"
    """The AWS account of the course."""
    eks_cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")] = "mlops-training-cluster"
    """The name that `aws eks update-kubeconfig` is given."""
    ports: Ports = Ports()
    names: Names = Names()
    tenants: tuple[TenantGroup, ...]
    state: Path = ROOT / ".lab"
    """The folder of everything that the lab keeps."""

    @model_validator(mode="after")
    def _unique(self) -> Settings:
        numbers = [number for group in self.tenants for number in group.users]
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            raise ValueError(t("user number {numbers} is listed twice", numbers=", ".join(twice)))
        if not numbers:
            raise ValueError(t("there is no tenant"))
        return self

    @property
    def standin_port(self) -> int:
        """Where the AWS stand-in listens: registry, EKS sign-in and its webhook are there whoever has S3."""
        return self.ports.ecr if self.aws == "localstack" else self.ports.aws

    @property
    def people(self) -> tuple[Tenant, ...]:
        """Every tenant, in the order of their numbers."""
        found = [self._tenant(number, group) for group in self.tenants for number in group.users]
        return tuple(sorted(found, key=lambda tenant: tenant.num))

    def _tenant(self, number: str, group: TenantGroup) -> Tenant:
        names = {key: template.format(num=number) for key, template in self.names.model_dump().items()}
        return Tenant(num=number, role=group.role, cpu=group.cpu, memory=group.memory, **names)

    def choose(self, text: str = "") -> tuple[Tenant, ...]:
        """The tenants named in `text` ("01,20", "1", "01..05"); all of them for an empty text. Raises LabError for an unknown one."""
        if not text.strip():
            return self.people
        known = {tenant.num: tenant for tenant in self.people}
        wanted = user_numbers(text)
        for number in wanted:
            if number not in known:
                raise LabError(
                    t("no tenant user{number} in lab.yaml", number=number), t("known: {names}", names=", ".join(known))
                )
        return tuple(known[number] for number in sorted(set(wanted)))

    def one(self, text: str) -> Tenant:
        """Exactly one tenant."""
        found = self.choose(text) if text.strip() else ()
        if len(found) != 1:
            raise LabError(t("one user number is needed, not {text!r}", text=text), t("for example: --user 01"))
        return found[0]


def user_numbers(text: str) -> list[str]:
    """The user numbers in "01,20", "7", "16..40"; raises LabError for anything else."""
    return [number for part in text.split(",") for number in _numbers(part.strip())]


def _numbers(part: str) -> list[str]:
    """ "7" means 07, as the course's scripts read it; 00 and words are refused."""
    low, dots, high = part.removeprefix("user").partition("..")
    ends = [low, high] if dots else [low]
    if not all(re.fullmatch(r"[0-9]{1,2}", end) and int(end) for end in ends):
        raise LabError(
            t("{part!r} is not a user number", part=part), t("user numbers are two digits, 01 to 99; a range is 01..15")
        )
    if int(ends[0]) > int(ends[-1]):
        raise LabError(t("{part!r} is not a range: it ends before it begins", part=part), t("a range is 01..15"))
    return [f"{number:02d}" for number in range(int(ends[0]), int(ends[-1]) + 1)]


def load(path: Path = ROOT / "lab.yaml", environ: Mapping[str, str] | None = None) -> Settings:
    """Read and validate. Raises SettingsError naming file, line, value and what is allowed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            t("cannot read {path}: {error}", path=path, error=error), t("restore it: git checkout lab.yaml")
        ) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or t("not YAML")
        raise SettingsError(
            f"{path.name}:{line}: {problem}", t("correct that line and run the command again")
        ) from None
    if not isinstance(data, dict):
        raise SettingsError(
            t("{name}:1: a mapping of keys is expected", name=path.name), t("restore it: git checkout lab.yaml")
        )
    _override(data, environ or {})
    state = Path(data.get("state", Settings.model_fields["state"].default))
    if isinstance(data.get("tenants"), list):
        data["tenants"] = [*data["tenants"], *(group.model_dump() for group in read_added(state))]
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_problem(path, node, item, environ or {}) for item in error.errors()),
            t("correct it and run the command again"),
        ) from None


def added_path(state: Path) -> Path:
    """Where `invoke tenants add` keeps people that lab.yaml does not have."""
    return state / "tenants.yaml"


def read_added(state: Path) -> list[TenantGroup]:
    path = added_path(state)
    if not path.exists():
        return []
    try:
        return [TenantGroup.model_validate(item) for item in yaml.safe_load(path.read_text()) or []]
    except (OSError, yaml.YAMLError, ValidationError, TypeError) as error:
        raise SettingsError(
            t("{path} is damaged: {error}", path=path, error=str(error).splitlines()[0]),
            t("correct it, or remove it: rm {path}", path=path),
        ) from None


def _override(data: dict[str, Any], environ: Mapping[str, str]) -> None:
    """LAB_CLUSTER=sim, LAB_PORTS_API=17443: a section's key after its section."""
    sections: dict[str, type[BaseModel]] = {"ports": Ports, "names": Names}
    for key in Settings.model_fields:
        if key in sections:
            for inner in sections[key].model_fields:
                value = environ.get(f"LAB_{key}_{inner}".upper())
                if value:
                    data.setdefault(key, {})[inner] = value
        elif key != "tenants" and environ.get(f"LAB_{key}".upper()):
            data[key] = environ[f"LAB_{key}".upper()]
    if "state" in data:
        data["state"] = Path(data["state"]).expanduser().resolve()


def _problem(path: Path, node: yaml.Node | None, item: Any, environ: Mapping[str, str]) -> str:
    location: Sequence[str | int] = item["loc"]
    where = ".".join(str(part) for part in location) or t("the file")
    found = item.get("input")
    shown = t(" (found {found!r})", found=found) if location and isinstance(found, str | int | float) else ""
    message = said(str(item["msg"]).removeprefix("Value error, "))
    variable = f"LAB_{where.replace('.', '_')}".upper()
    source = variable if environ.get(variable) else f"{path.name}:{_line(node, location)}"
    return f"{source}: {where}: {message}{shown}"


def _line(node: yaml.Node | None, location: Sequence[str | int]) -> int:
    """The line of the deepest part of `location` that the file has."""
    line = 1
    for part in location:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value.start_mark.line + 1, value
    return None
