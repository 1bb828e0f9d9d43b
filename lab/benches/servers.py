"""Who is compared: how each server is started, and how it is asked for rows."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
ROW = [5.1, 3.5, 1.4, 0.2]
FLOOR = "fixed answer (the floor)"


@dataclass(frozen=True)
class Files:
    """The same forest in the forms the servers read."""

    cache: Path
    joblib: Path
    mlflow: Path


@dataclass(frozen=True)
class Server:
    """One competitor: how it is started with an interpreter, the forest and a port, and how it is asked for rows."""

    name: str
    packages: str
    """The file of pinned packages, empty for the lab's own environment."""
    command: Callable[[Path, Files, int], Sequence[str]]
    environment: Callable[[Files, int], Mapping[str, str]]
    ready: str
    path: str
    body: Callable[[Sequence[Sequence[float]]], object]
    batch_path: str = ""
    answers_batches: bool = True


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _here(files: Files, port: int) -> dict[str, str]:
    return {"MODEL": str(files.joblib)}


def _uvicorn(module: str) -> Callable[[Path, Files, int], Sequence[str]]:
    options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    return lambda bin_, files, port: [
        str(bin_ / "python"),
        "-m",
        "uvicorn",
        "--app-dir",
        str(PEERS),
        module,
        "--port",
        str(port),
        *options,
    ]


def _ours(files: Files, port: int) -> dict[str, str]:
    """Without MLflow: it serves the last good model of its cache."""
    nobody = f"http://127.0.0.1:{free_port()}"
    return {
        "MODEL_CACHE": str(files.cache),
        "MLFLOW_TRACKING_URI": nobody,
        "POD_IP": "127.0.0.1",
        "PORT": str(port),
        "DRAIN_SECONDS": "0",
    }


def _mlflow(bin_: Path, files: Files, port: int) -> list[str]:
    return [
        str(bin_ / "mlflow"),
        "models",
        "serve",
        "-m",
        str(files.mlflow),
        "-p",
        str(port),
        "--env-manager",
        "local",
        "--workers",
        "1",
    ]


def _mlserver(files: Files, port: int) -> dict[str, str]:
    """MLServer reads a folder of settings."""
    folder = files.joblib.parent / "mlserver"
    folder.mkdir(exist_ok=True)
    model = {
        "name": "iris",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(files.joblib)},
    }
    server = {
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "host": "127.0.0.1",
        "parallel_workers": 0,
        "debug": False,
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    (folder / "settings.json").write_text(json.dumps(server))
    return {}


def _tensor(rows: Sequence[Sequence[float]]) -> object:
    flat = [value for row in rows for value in row]
    tensor = {"name": "features", "shape": [len(rows), len(ROW)], "datatype": "FP64", "data": flat}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


SERVERS: tuple[Server, ...] = (
    Server(
        "iris-serving (this lab)",
        "",
        lambda bin_, files, port: [str(bin_ / "python"), "-m", "serving"],
        _ours,
        "/ready",
        "/predict",
        lambda rows: {"features": rows if len(rows) > 1 else rows[0]},
        batch_path="/predict/batch",
    ),
    Server(
        FLOOR,
        "plain",
        lambda bin_, files, port: [str(bin_ / "python"), str(PEERS / "floor.py"), str(port)],
        _here,
        "/",
        "/predict",
        lambda rows: {},
        answers_batches=False,
    ),
    Server(
        "empty FastAPI route",
        "plain",
        _uvicorn("empty:app"),
        _here,
        "/health",
        "/predict",
        lambda rows: {},
        answers_batches=False,
    ),
    Server(
        "scikit-learn + FastAPI",
        "plain",
        _uvicorn("plain:app"),
        _here,
        "/health",
        "/predict",
        lambda rows: {"features": rows},
    ),
    Server("mlflow models serve", "mlflow", _mlflow, _here, "/ping", "/invocations", lambda rows: {"inputs": rows}),
    Server(
        "MLServer",
        "mlserver",
        lambda bin_, files, port: [str(bin_ / "mlserver"), "start", str(files.joblib.parent / "mlserver")],
        _mlserver,
        "/v2/models/iris/ready",
        "/v2/models/iris/infer",
        _tensor,
    ),
    Server(
        "BentoML",
        "bentoml",
        lambda bin_, files, port: [
            str(bin_ / "bentoml"),
            "serve",
            "bento:Iris",
            "--working-dir",
            str(PEERS),
            "--port",
            str(port),
        ],
        lambda files, port: {**_here(files, port), "BENTOML_DO_NOT_TRACK": "true"},
        "/readyz",
        "/predict",
        lambda rows: {"features": rows},
    ),
)
