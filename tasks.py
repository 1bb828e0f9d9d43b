"""The lab's tasks, as `./inv --list` shows them: the table of contents of `lab.commands`."""

import sys
from pathlib import Path

from invoke.collection import Collection

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab.commands import checks, develop, images, lifecycle, models, offline, people, traffic, ui

ns = Collection(
    lifecycle.up,
    lifecycle.down,
    lifecycle.status,
    lifecycle.logs,
    lifecycle.doctor,
    lifecycle.env,
    lifecycle.kubectl,
    offline.bundle,
    offline.tools,
    images.build,
    images.push,
    ui.ui,
    models.train,
    models.sweep,
    models.runs,
    models.compare,
    models.promote,
    models.rollback_model,
    models.reproduce,
    traffic.predict,
    traffic.load,
    traffic.rollout,
    traffic.rollback,
    checks.verify,
    checks.faults,
    checks.break_,
    checks.mend,
    checks.rehearse,
    develop.check,
)
ns.add_collection(Collection("tenants", people.tenants_list, people.tenants_add, people.tenants_remove))
ns.add_collection(
    Collection(
        "bench",
        develop.bench_lab,
        develop.bench_serve,
        develop.bench_dashboard,
        develop.bench_kubesim,
        develop.bench_aws,
    )
)
