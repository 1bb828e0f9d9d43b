"""The values of the pages' parts: what is known of the cluster -> one frozen value a part. Pure but for reading the mirror."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median

from kubeflow_lite.dashboard import chart, reports, view
from kubeflow_lite.dashboard.chart import Drawing
from kubeflow_lite.dashboard.kept import Kept
from kubeflow_lite.dashboard.mirror import Mirror
from kubeflow_lite.dashboard.sampler import CLASS, KEPT, Sample, Sampler
from kubeflow_lite.objects import Object, metadata, name, namespace
from kubeflow_lite.pipelines import rows
from kubeflow_lite.pipelines.mlflow import Run
from kubeflow_lite.pipelines.rows import RunRow
from kubeflow_lite.web import words

JOBS, LEADERS, TOLD = 6, 8, 3


@dataclass(frozen=True)
class Faults:
    alive: bool
    active: tuple[reports.Active, ...]
    requests: tuple[reports.Request, ...]


@dataclass(frozen=True)
class Graph:
    """One line of the service's chart; texts are for people."""

    key: str
    drawing: Drawing
    now: str
    unit: str
    top: str
    note: str = ""


@dataclass(frozen=True)
class Serving:
    """`graphs` is empty where no pod serves. `wanted` and `most` are the Deployment's and the autoscaler's replicas."""

    graphs: tuple[Graph, ...]
    ready: int
    wanted: int
    most: int
    target: int


@dataclass(frozen=True)
class Job:
    name: str
    namespace: str
    state: str
    reason: str
    run_name: str
    started: str
    took: str
    usual: float
    """Seconds that the others took, 0 where none has ended: how far a running one is."""


@dataclass(frozen=True)
class Training:
    """`runs` is None until MLflow was asked, which it is when somebody comes to look."""

    jobs: tuple[Job, ...]
    runs: tuple[RunRow, ...] | None
    problem: str


@dataclass(frozen=True)
class Line:
    """One tenant in the instructor's table."""

    use: view.Use
    bucket: reports.Bucket | None
    last: Job | None


@dataclass(frozen=True)
class Summary:
    """The head of a tenant's own page."""

    person: view.Person
    role: str
    row: reports.Row
    alive: bool


@dataclass(frozen=True)
class Checks:
    """`parts` are named groups of checks with what they said."""

    namespace: str
    parts: tuple[tuple[str, tuple[tuple[reports.Check, reports.Result], ...]], ...]


class Panels:
    def __init__(self, mirror: Mirror, sampler: Sampler, *, shared: str, serving: str, system: str) -> None:
        self._mirror = mirror
        self._sampler = sampler
        self._shared = shared
        self._serving = serving
        self._system = system
        self._kept = Kept()

    def people(self) -> tuple[view.Person, ...]:
        return self._kept.get("people", view.people, self._mirror.all("profiles"))

    def person(self, where: str) -> view.Person | None:
        return next((one for one in self.people() if one.namespace == where), None)

    def told(self) -> Sequence[Object]:
        """What the agent told and was asked."""
        return self._mirror.within("told", self._system)

    def alive(self) -> bool:
        return reports.alive(self._mirror.within("leases", self._system), datetime.now(UTC))

    def whole(self) -> dict[str, object]:
        """The instructor's page."""
        told, people, alive = self.told(), self.people(), self.alive()
        known, columns = reports.reports(told), reports.checks(told)
        rows = {_key(one): self._row(one, known.get(one.namespace), columns) for one in people}
        values: dict[str, object] = {"headline": reports.headline(list(rows.values()), alive=alive)}
        values |= {f"row-{key}": row for key, row in rows.items()}
        values["faults"] = Faults(alive, reports.active(told), reports.requests(told))
        values["serving"] = self.serving()
        values["training"] = self.training(None)
        values |= {f"use-{_key(one)}": self._line(one, known.get(one.namespace)) for one in people}
        values["nodes"] = view.nodes(self._mirror.all("nodes"), self._mirror.all("pods"), self._sampler.usage)
        values["events"] = view.events(self._mirror.all("events"))
        return values

    def frame(self) -> object:
        """What the instructor's page has around its parts: the grid's columns and the faults to choose from, once the agent has told them."""
        told = self.told()
        return reports.checks(told), reports.faults(told)

    def own(self, person: view.Person) -> dict[str, object]:
        """A tenant's page."""
        told, where = self.told(), person.namespace
        report, columns = reports.reports(told).get(where), reports.checks(told)
        row = self._row(person, report, columns)
        return {
            "summary": Summary(person, report.role if report else "", row, self.alive()),
            "checks": Checks(where, _grouped(columns, report)),
            "resources": self._line(person, report),
            "notebooks": view.notebooks(self._mirror.within("notebooks", where)),
            "runs": self.training(where),
            "pods": view.pods(self._mirror.within("pods", where)),
            "commands": report.commands if report else (),
            "events": view.events(self._mirror.within("events", where), 8),
        }

    def result(self, where: str, code: str) -> tuple[reports.Check, reports.Result] | None:
        """One cell of the grid."""
        told = self.told()
        check = next((one for one in reports.checks(told) if one.code == code), None)
        report = reports.reports(told).get(where)
        return (check, report.result(code) if report else reports.Result(code, "")) if check else None

    def serving(self) -> Serving:
        deployment = self._mirror.get("deployments", self._serving, "iris-serving") or {}
        scaler: Object = self._mirror.get("scalers", self._serving, "iris-serving-hpa") or {}
        samples = list(self._sampler.samples)
        ready = int((deployment.get("status") or {}).get("readyReplicas") or 0)
        return Serving(
            graphs=_graphs(samples, _target(scaler)) if samples and (ready or samples[-1].replicas) else (),
            ready=ready,
            wanted=int((deployment.get("spec") or {}).get("replicas") or 0),
            most=int((scaler.get("spec") or {}).get("maxReplicas") or 0),
            target=_target(scaler),
        )

    def training(self, where: str | None) -> Training:
        """Of one tenant, or (None) of everybody with the shared server's best runs."""
        known = self._sampler.runs.get(where or CLASS)
        runs = ranked(known.runs, by_time=where is not None) if known else None
        problem = known.problem if known else ""
        if where:
            return Training(jobs(self._mirror.within("jobs", where)), runs, problem)
        theirs = {one.namespace for one in self.people()} | {self._shared}
        found = [one for one in self._mirror.all("jobs") if namespace(one) in theirs]
        return Training(jobs(found), runs, problem)

    def _row(self, person: view.Person, report: reports.Report | None, columns: Sequence[reports.Check]) -> reports.Row:
        return self._kept.get(("row", person.namespace), reports.row, _key(person), person.namespace, report, columns)

    def _line(self, person: view.Person, report: reports.Report | None) -> Line:
        where, mirror = person.namespace, self._mirror
        use = self._kept.get(
            ("use", where),
            view.use,
            person,
            pods=mirror.within("pods", where),
            quotas=mirror.within("quotas", where),
            deployments=mirror.within("deployments", where),
            notebooks=mirror.within("notebooks", where),
        )
        latest = self._kept.get(("jobs", where), jobs, mirror.within("jobs", where))
        return Line(use, report.bucket if report else None, latest[0] if latest else None)


def _key(person: view.Person) -> str:
    return person.num or person.profile


def _grouped(
    columns: Sequence[reports.Check], report: reports.Report | None
) -> tuple[tuple[str, tuple[tuple[reports.Check, reports.Result], ...]], ...]:
    parts = dict.fromkeys(one.part for one in columns)
    pairs = [(one, report.result(one.code) if report else reports.Result(one.code, "")) for one in columns]
    return tuple((part, tuple(pair for pair in pairs if pair[0].part == part)) for part in parts)


def _target(scaler: Object) -> int:
    """The autoscaler's wish for CPU, in percent of what is requested."""
    for metric in (scaler.get("spec") or {}).get("metrics") or []:
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu":
            return int((resource.get("target") or {}).get("averageUtilization") or 0)
    return 0


def _graphs(samples: Sequence[Sample], target: int) -> tuple[Graph, ...]:
    last = samples[-1]

    def graph(key: str, values: Sequence[float | None], unit: str, *, least: float, **more: bool | float) -> Graph:
        drawing = chart.draw(
            values, slots=KEPT, least=least, mark=more.get("mark") or None, steps=bool(more.get("steps"))
        )
        known = [value for value in values if value is not None]
        return Graph(key, drawing, _short(values[-1]), unit, _short(max(known, default=None)))

    rate = graph("requests_per_second", [one.rate for one in samples], "", least=1.0)
    latency = graph("latency", [one.p95 for one in samples], "ms", least=1.0)
    cpu = graph("cpu_of_request", [one.cpu for one in samples], "%", least=100.0, mark=float(target))
    replicas = graph("replicas", [float(one.replicas) for one in samples], "", least=5.0, steps=True)
    return (rate, replace(latency, note="" if last.median is None else _short(last.median)), cpu, replicas)


def _short(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def jobs(found: Sequence[Object], most: int = JOBS) -> tuple[Job, ...]:
    """Running ones first, then the latest."""
    spans = [span for one in found if (span := _span(one)) and _state(one)[0] == "succeeded"]
    usual = round(median(spans), 1) if spans else 0.0
    rows = [_job(one, usual) for one in found]
    latest = sorted(rows, key=lambda row: row.started, reverse=True)
    return tuple(sorted(latest, key=lambda row: row.state not in ("running", "starting", "pending"))[:most])


def _job(job: Object, usual: float) -> Job:
    state, reason = _state(job)
    span = _span(job)
    arguments = [str(one) for one in job["spec"]["template"]["spec"]["containers"][0].get("args") or []]
    return Job(
        name=name(job),
        namespace=namespace(job),
        state=state,
        reason=reason,
        run_name=arguments[arguments.index("--run-name") + 1] if "--run-name" in arguments[:-1] else "",
        started=str((job.get("status") or {}).get("startTime") or metadata(job).get("creationTimestamp") or ""),
        took=words.duration(span) if span is not None else "",
        usual=usual,
    )


def _state(job: Object) -> tuple[str, str]:
    """One word of the catalogue, and for a failure Kubernetes's reason."""
    status: Object = job.get("status") or {}
    for kind, word in (("Complete", "succeeded"), ("Failed", "failed"), ("Suspended", "suspended")):
        found = view.condition(job, kind)
        if found.get("status") == "True":
            return word, str(found.get("reason") or "") if word == "failed" else ""
    return ("running" if status.get("ready") else "starting" if status.get("active") else "pending"), ""


def _span(job: Object) -> float | None:
    """Seconds from start to end; None for one that has not ended."""
    status: Object = job.get("status") or {}
    failed = view.condition(job, "Failed")
    ended = status.get("completionTime") or (failed.get("lastTransitionTime") if failed.get("status") == "True" else "")
    start, end = words.moment(status.get("startTime")), words.moment(ended)
    return (end - start).total_seconds() if start and end else None


def ranked(runs: Iterable[Run], *, by_time: bool, most: int = LEADERS) -> tuple[RunRow, ...]:
    """The latest first, or the most accurate (runs without an accuracy are no competitors)."""
    pairs = [(run, rows.accuracy(run)) for run in runs]
    if by_time:
        chosen = sorted(pairs, key=lambda pair: -pair[0].started)
    else:
        chosen = sorted((p for p in pairs if p[1] is not None), key=lambda p: (-(p[1] or 0.0), p[0].started))
    return tuple(rows.row(run, parameters=TOLD) for run, _ in chosen[:most])
