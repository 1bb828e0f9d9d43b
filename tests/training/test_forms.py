"""The two forms of a model: the same numbers, not nearly the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from sklearn.ensemble import RandomForestClassifier

from training import data, equality, model, profile
from training.arguments import Parameters
from training.errors import FormsDiffer
from training.onnxform import convert

PARAMETERS = Parameters(n_estimators=60, max_depth=None, seed=42, test_size=0.2, folds=3)


def trained(**changes: int | None) -> tuple[data.Table, model.Trained]:
    table = data.iris()
    parameters = Parameters(**{**vars(PARAMETERS), **changes})
    return table, model.train(model.split(table, parameters), parameters)


@pytest.mark.parametrize("max_depth", [1, 2, 4, None])
def test_iris_is_answered_alike_at_every_depth(max_depth: int | None) -> None:
    table, found = trained(max_depth=max_depth)
    runtime = equality.session(convert(found.forest))
    alike = equality.check(found.forest, runtime, test=found.split.test_features, data=table.features, seed=1)
    assert alike.points == 10_000 + 30 + 5_000
    assert alike.largest < 1e-15


@settings(max_examples=12, deadline=None)
@given(
    features=st.integers(1, 7),
    classes=st.integers(2, 5),
    trees=st.integers(1, 12),
    depth=st.sampled_from([1, 3, None]),
    seed=st.integers(0, 2**16),
)
def test_any_forest_is_answered_alike(features: int, classes: int, trees: int, depth: int | None, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = np.round(random.normal(size=(80, features)), 1)
    target = np.concatenate([np.arange(classes), random.integers(0, classes, 80 - classes)])
    forest = RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed).fit(rows, target)
    equality.check(forest, equality.session(convert(forest)), test=rows, data=rows, seed=seed)


def test_a_forest_of_one_leaf_trees_is_answered_alike() -> None:
    rows, target = np.zeros((10, 2)), np.array([0, 1] * 5)
    forest = RandomForestClassifier(n_estimators=3, random_state=0).fit(rows, target)
    assert all(tree.tree_.node_count == 1 for tree in forest.estimators_)
    _, answer = equality.session(convert(forest)).run(None, {"features": rows})
    np.testing.assert_allclose(answer, forest.predict_proba(rows), rtol=0, atol=1e-15)


def test_the_same_forest_gives_the_same_bytes() -> None:
    assert convert(trained()[1].forest) == convert(trained()[1].forest)


def test_single_precision_thresholds_are_noticed() -> None:
    """What the usual converter does."""
    table, found = trained()
    spoilt = onnx.load_model_from_string(convert(found.forest))
    (ensemble,) = [node for node in spoilt.graph.node if node.op_type == "TreeEnsemble"]
    (splits,) = [attribute for attribute in ensemble.attribute if attribute.name == "nodes_splits"]
    exact = numpy_helper.to_array(splits.t)
    splits.t.CopyFrom(numpy_helper.from_array(exact.astype(np.float32).astype(np.float64), "splits"))
    runtime = equality.session(spoilt.SerializeToString())
    with pytest.raises(FormsDiffer, match=r"call a point by different classes \(\d+ points; the first: "):
        equality.check(found.forest, runtime, test=found.split.test_features, data=table.features, seed=1)


def test_another_models_answers_are_noticed() -> None:
    table, found = trained()
    _, other = trained(seed=7)
    runtime = equality.session(convert(other.forest))
    with pytest.raises(FormsDiffer):
        equality.check(found.forest, runtime, test=found.split.test_features, data=table.features, seed=1)


def test_the_profile_describes_data_and_holds_golden_rows_of_every_class() -> None:
    table, found = trained()
    onnx_model = convert(found.forest)
    made = profile.profile(table, found, onnx_model, equality.session(onnx_model))
    assert [feature["name"] for feature in made["features"]] == list(table.names)
    for feature in made["features"]:
        assert sum(feature["shares"]) == pytest.approx(1)
        assert len(feature["shares"]) == len(feature["edges"]) + 1
        assert feature["min"] < feature["max"]
    answers = np.array([row["probabilities"] for row in made["golden"]])
    assert set(answers.argmax(axis=1)) == {0, 1, 2}
    assert profile.encode(made) == profile.encode(made)


def test_training_again_gives_the_same_model_and_scores() -> None:
    table, first = trained()
    _, second = trained()
    assert first.metrics == second.metrics
    parts = model.split(table, PARAMETERS)
    with (
        model.cross_validation(parts, PARAMETERS, workers=2) as one,
        model.cross_validation(parts, PARAMETERS, workers=1) as two,
    ):
        assert one.metrics() == two.metrics()


def test_scores_are_those_of_the_test_part() -> None:
    _, found = trained()
    assert found.metrics["accuracy"] == pytest.approx(np.trace(found.confusion) / found.confusion.sum())
    assert found.confusion.sum() == 30
    assert np.bincount(found.split.test_target).tolist() == [10, 10, 10]
