"""`python -m kubeflow_lite ROLE`: one program per Deployment, all from one image, so that the simulator forks them from one warm interpreter.

    profiles    the Profile controller             notebooks   the Notebook controller
    webhook     the PodDefault admission webhook   dashboard   the central dashboard
    pipelines   ml-pipeline-ui

The cluster is KUBECONFIG's where it is set, else the pod's own. Everything else is read from the environment (see k8s/kubeflow).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from kubeflow_lite.errors import KubeflowError
from kubeflow_lite.kube import config

ROLES = {
    "profiles": ("kubeflow_lite.profiles.program", 8080),
    "notebooks": ("kubeflow_lite.notebooks.program", 8080),
    "webhook": ("kubeflow_lite.poddefaults.program", 4443),
    "dashboard": ("kubeflow_lite.dashboard.program", 8082),
    "pipelines": ("kubeflow_lite.pipelines.program", 3000),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="kubeflow_lite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--address", default="0.0.0.0", help="where to listen (default: every address of the pod)")
    parser.add_argument("--port", type=int, help="default: the role's own")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    module, port = ROLES[options.role]
    # Imported here: each role needs a part of the package only.
    program = importlib.import_module(module)
    try:
        access = config.detect(os.environ)
        asyncio.run(
            program.run(
                access, os.environ, address=options.address, port=port if options.port is None else options.port
            )
        )
    except KubeflowError as error:
        print(f"kubeflow_lite {options.role}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
