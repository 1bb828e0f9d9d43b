"""The course's tenant checks. `REGISTRY` holds all 23 in the guides' order; the runner knows nothing of what they check."""

from lab.checks import kubeflow, mlflow, storage
from lab.checks.base import Check

REGISTRY: tuple[Check, ...] = (*kubeflow.CHECKS, *mlflow.CHECKS, *storage.CHECKS)
"""KF01..KF10, ML01..ML07, ST01..ST06."""

PARTS = ("kubeflow", "mlflow", "storage")
