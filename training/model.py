"""The forest: split, cross-validate, fit and judge. No I/O; the same table and parameters give the same forest, bit for bit."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold, train_test_split

from training.arguments import Parameters
from training.data import Floats, Integers, Table

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Split:
    """The rows a forest learns from, and those it is judged by; both hold every class in its share."""

    train_features: Floats
    test_features: Floats
    train_target: Integers
    test_target: Integers


@dataclass(frozen=True)
class Trained:
    """A fitted forest and how well it does. `confusion[i, j]`: test rows of class i that it calls j."""

    forest: RandomForestClassifier
    split: Split
    metrics: dict[str, float]
    confusion: Integers


def split(table: Table, parameters: Parameters) -> Split:
    """Stratified, by the seed."""
    parts = train_test_split(
        table.features,
        table.target,
        test_size=parameters.test_size,
        stratify=table.target,
        random_state=parameters.seed,
    )
    return Split(*(np.ascontiguousarray(part) for part in parts))


def train(parts: Split, parameters: Parameters) -> Trained:
    """Fit on the training part, judge on the test part."""
    with sklearn.config_context(skip_parameter_validation=True):
        forest = _forest(parameters).fit(parts.train_features, parts.train_target)
    metrics, confusion = judge(forest, parts)
    return Trained(forest=forest, split=parts, metrics=metrics, confusion=confusion)


def judge(forest: RandomForestClassifier, parts: Split) -> tuple[dict[str, float], Integers]:
    """Scores on the test part, which the forest has not seen. Averages over classes are macro averages."""
    probabilities = forest.predict_proba(parts.test_features)
    predicted = forest.classes_[probabilities.argmax(axis=1)]
    truth, labels = parts.test_target, forest.classes_
    metrics = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "f1": float(f1_score(truth, predicted, average="macro")),
        "precision": float(precision_score(truth, predicted, average="macro", zero_division=0)),
        "recall": float(recall_score(truth, predicted, average="macro")),
        "log_loss": float(log_loss(truth, probabilities, labels=labels)),
        "train_accuracy": float(accuracy_score(parts.train_target, forest.predict(parts.train_features))),
    }
    return metrics, confusion_matrix(truth, predicted, labels=labels).astype(np.int64)


def _forest(parameters: Parameters) -> RandomForestClassifier:
    return RandomForestClassifier(
        n_estimators=parameters.n_estimators, max_depth=parameters.max_depth, random_state=parameters.seed
    )


Score = tuple[float, float]


@dataclass(frozen=True)
class Folds:
    """A cross-validation under way."""

    scores: list[Future[Score]]

    def metrics(self) -> dict[str, float]:
        """Wait for the last fold."""
        accuracies, f1s = zip(*(score.result() for score in self.scores), strict=True)
        return {
            "cv_accuracy_mean": float(np.mean(accuracies)),
            "cv_accuracy_std": float(np.std(accuracies)),
            "cv_f1_mean": float(np.mean(f1s)),
        }


@contextmanager
def cross_validation(parts: Split, parameters: Parameters, *, workers: int) -> Iterator[Folds]:
    """Accuracy and F1 of each fold, computed beside whatever the caller does, in processes forked from this one.

    Forked, because imports and data are there already. Leaving the context ends what is still running.
    """
    folds = StratifiedKFold(n_splits=parameters.folds, shuffle=True, random_state=parameters.seed)
    pairs = list(folds.split(parts.train_features, parts.train_target))
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(min(workers, len(pairs)), mp_context=fork, initializer=_in_worker)
    try:
        yield Folds([pool.submit(_fold, parts, parameters, learn, judged) for learn, judged in pairs])
    except BaseException:
        for child in multiprocessing.active_children():  # a fold may take longer than a pod has to end
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_worker() -> None:
    """End on SIGTERM at once, and with the parent, however that ends."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _fold(parts: Split, parameters: Parameters, learn: Integers, judged: Integers) -> Score:
    features, target = parts.train_features, parts.train_target
    with sklearn.config_context(skip_parameter_validation=True):
        forest = _forest(parameters).fit(features[learn], target[learn])
        predicted = forest.predict(features[judged])
    return (
        float(accuracy_score(target[judged], predicted)),
        float(f1_score(target[judged], predicted, average="macro")),
    )
