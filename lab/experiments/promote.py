"""`invoke promote` and `invoke rollback-model`: a Job of the training image inspects the model's files and moves the alias.

In the cluster and not here: there are the libraries that load a model, and the keys that read its files, a tenant's too.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.errors import LabError
from lab.experiments import training
from lab.experiments.mlflow import Place
from lab.experiments.runs import find
from lab.messages import t
from training.results import Promoted

COMMAND = ("python", "-m", "training.promotion")
KEPT_SECONDS = 600


def promote(place: Place, which: str, *, model: str = "iris", say: training.Say) -> Promoted:
    """Make a version champion (its number), or the model of a run (its id or name), which is registered first where it was not."""
    if which.isdigit() and len(which) < 10:
        return move(place, ["--version", which], model=model, say=say)
    return move(place, ["--run", find(place, which).id], model=model, say=say)


def rollback(place: Place, *, model: str = "iris", say: training.Say) -> Promoted:
    """Back to the champion before this one."""
    return move(place, ["--previous"], model=model, say=say)


def move(place: Place, which: Sequence[str], *, model: str, say: training.Say) -> Promoted:
    """Run the Job. Raises LabError with what it found wrong; the alias is where it was then."""
    made = training.job(["--model-name", model, *which], place.tenant, command=COMMAND)
    made["metadata"]["generateName"] = "iris-promotion-"
    made["spec"]["ttlSecondsAfterFinished"] = KEPT_SECONDS
    name = training.create(place.cluster, made)["metadata"]["name"]
    try:
        return Promoted(**training.wait(place.cluster, name, place.namespace, say=say))
    except LabError as error:
        start = t("Job {name} in {namespace} failed: {reason}", name=name, namespace=place.namespace, reason="")
        if start in error.message:
            hint = t("the alias is where it was; the versions there are: ./inv runs{option}", option=place.option)
            raise LabError(error.message.replace(start, ""), hint) from None
        raise
