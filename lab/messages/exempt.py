"""What looks like words and is none: names, queries, other programs' texts, data. Whoever adds a line says so by adding it."""

from __future__ import annotations

from collections.abc import Mapping

NOT_WORDS: Mapping[str, frozenset[str]] = {
    "": frozenset(
        {"green", "yellow", "red", "dim", "bold", "ellipsis", "kubeconfig", "cv", "ms", "p50 ms", "p99 ms", ", user"}
    ),
    "lab/aws/resources.py": frozenset({"keep the last 10 images"}),  # a lifecycle policy's own description
    "lab/aws/routes.py": frozenset({"services = lab"}),
    "lab/benches/aws.py": frozenset({"sync again"}),
    "lab/benches/dashboard.py": frozenset({"apt-get install chromium", "wrong owner"}),
    "lab/benches/kubesim.py": frozenset({"{} ms"}),
    "lab/benches/serve.py": frozenset(
        {
            "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execvp(sys.argv[2], sys.argv[2:])",
            "per cpu@8",
        }
    ),
    "lab/benches/servers.py": frozenset(  # names in a table, the same in every language
        {"fixed answer (the floor)", "iris-serving (this lab)", "empty FastAPI route", "mlflow models serve"}
    ),
    "lab/benches/standins.py": frozenset({"awssim, TLS", "client alone"}),
    "lab/benches/wire.py": frozenset({"the connection was closed after {} answers"}),  # in a process of its own
    "lab/build/wheels.py": frozenset(
        {"import sys, platform; print('%d.%d.%d' % sys.version_info[:3], platform.machine(), platform.libc_ver()[1])"}
    ),
    "lab/bundle/__main__.py": frozenset({"inv: {}"}),
    "lab/bundle/install.py": frozenset(
        {"import platform, sys; print('%d.%d' % sys.version_info[:2], platform.machine())"}
    ),
    "lab/checks/kubeflow.py": frozenset({"kubeflow"}),
    "lab/clusters/k3s.py": frozenset({"root"}),
    "lab/clusters/supply.py": frozenset({"bundle {} {}"}),  # compared, never shown
    "lab/commands/korean.py": frozenset(  # what invoke says, to be found
        {
            "No idea what (.*)() is!",
            "Flag <Argument: (\\S+).*>() needed value .*",
            "Flag <Argument: (\\S+).*>() doesn't take .*",
            "'(.*)' did not receive required positional arguments: (.*)",
        }
    ),
    "lab/doctor.py": frozenset({"inotify", "mlflow", "serving", "dashboard", "pipelines"}),  # keys of lab.yaml
    "lab/down.py": frozenset({"users", "logs", "run"}),  # folders
    "lab/dryrun/cluster.py": frozenset({'{} "{}" not found'}),  # as the API server says it
    "lab/dryrun/guard.py": frozenset({"process {}"}),  # an audit hook: nothing may be opened in it
    "lab/experiments/dead.py": frozenset({"tags.job = '{}' and attributes.status = 'RUNNING'"}),
    "lab/experiments/grid.py": frozenset({"argument "}),  # argparse says so
    "lab/experiments/mlflow.py": frozenset({"name = '{}'"}),
    "lab/experiments/show.py": frozenset({"accuracy"}),  # a metric's key
    "lab/experiments/training.py": frozenset({"training failed: ", "promotion failed: "}),  # the Job's program says so
    "lab/load/run.py": frozenset({"   - ms", "{} ms"}),
    "lab/push/__init__.py": frozenset({"PUT /v2/{}/blobs/{} ({} bytes)"}),
    "lab/push/layout.py": frozenset(  # an image's own labels and history
        {
            "application files only: the base image and the packages of the Dockerfile are not in this image. "
            "The lab's simulator runs it; for Docker use ./inv build --push",
            "COPY (files of the build context)",
            "mlops-lab push",
        }
    ),
    "lab/quality.py": frozenset({"from importlinter.cli import lint_imports_command; lint_imports_command()"}),
    "lab/serving/rollout.py": frozenset(
        {"rollout to {}", "rollback to revision {}"}
    ),  # kubernetes.io/change-cause: kept in the cluster
    "lab/settings.py": frozenset({"Value error, "}),  # pydantic says so
    "lab/tenancy/users.py": frozenset(
        {
            "client auth",
            "approved by invoke up",
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\nregion = {}\n{}",
        }
    ),
}
"""By file; "" is every file."""
