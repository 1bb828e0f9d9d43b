"""Bit tables answer exactly as ONNX Runtime does, or are not used."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from serving import forest, trees
from serving.forest import Forest, Integers, Rows
from serving.model import Model
from serving.registry import Version
from tests.serving.conftest import files
from training import data, equality, model
from training.arguments import Parameters
from training.onnxform import convert


@cache
def loaded(*, seed: int = 42, number: int = 20) -> Model:
    content = files(seed=seed, trees=number)
    return Model.load(Version("iris", "1", "run", hashlib.sha256(content.model).hexdigest()), content)


def tables(made: Model) -> Forest:
    assert made.forest is not None
    return made.forest


@pytest.mark.parametrize(("seed", "number"), [(1, 1), (2, 2), (3, 20), (4, 200)])
def test_classes_and_probabilities_are_the_same_numbers(seed: int, number: int) -> None:
    made, random = loaded(seed=seed, number=number), np.random.default_rng(seed)
    found = tables(made)
    near = [np.concatenate([edges, np.nextafter(edges, 99), np.nextafter(edges, -99)]) for edges in found.edges]
    points = [random.choice(column if column.size else np.array([1.0]), 5000) for column in near]
    low, high = np.array(made.bounds).T
    rows = np.concatenate([np.stack(points, axis=1), random.uniform(low, high, (5000, 4)), data.iris().features])
    label, probabilities = made.run(rows)
    mine, shares = found.predict(rows)
    np.testing.assert_array_equal(mine, label)
    np.testing.assert_array_equal(shares, probabilities)
    for number, row in enumerate(rows[::97]):
        assert found.one(row.tolist()) == (label[number * 97], probabilities[number * 97].tolist())


def test_a_value_that_only_single_precision_puts_on_the_other_side_goes_where_the_graph_sends_it() -> None:
    """The graph rounds to single precision first; an edge is the last double that still rounds to the left."""
    made = loaded(seed=3)
    for column, edges in enumerate(tables(made).edges):
        for edge in edges:
            rows = np.tile(data.iris().features[0], (3, 1))
            rows[:, column] = edge, np.nextafter(edge, np.inf), np.nextafter(edge, -np.inf)
            np.testing.assert_array_equal(made.run(rows)[1], made.predict(rows)[1])


def compiled(content: bytes, judge: forest.Predict) -> Forest | None:
    found = trees.read(content)
    assert found is not None
    return forest.compile(found, features=4, classes=3, judge=judge, reach=[(0.0, 10.0)] * 4)


def test_leaves_of_mixed_classes_are_left_to_onnx_runtime() -> None:
    parameters = Parameters(n_estimators=10, max_depth=2, seed=1, test_size=0.2, folds=2)
    trained = model.train(model.split(data.iris(), parameters), parameters)
    body = convert(trained.forest)
    session = equality.session(body)

    def judge(rows: Rows) -> tuple[Integers, Rows]:
        label, probabilities = session.run(["label", "probabilities"], {"features": rows})
        return label, probabilities

    assert compiled(body, judge) is None


def test_tables_that_do_not_answer_as_onnx_runtime_does_are_not_used() -> None:
    made = loaded()

    def other(rows: Rows) -> tuple[Integers, Rows]:
        label, probabilities = made.run(rows)
        probabilities[7] = np.nextafter(probabilities[7], 2)
        return label, probabilities

    assert compiled(files().model, made.run) is not None
    assert compiled(files().model, other) is None


def test_tables_that_would_be_too_large_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "MOST_BYTES", 1000)
    assert compiled(files().model, loaded().run) is None


def test_a_graph_of_another_form_is_not_read() -> None:
    import onnx

    graph = onnx.load_from_string(files().model)
    graph.graph.node[3].op_type = "Mul"
    assert trees.read(graph.SerializeToString()) is None


def test_without_tables_onnx_runtime_answers() -> None:
    made = loaded()
    plain = Model(made.version, made.profile, made.session)
    assert plain.engine == "ONNX Runtime"
    assert made.engine != plain.engine
    rows = data.iris().features
    np.testing.assert_array_equal(plain.predict(rows)[1], made.predict(rows)[1])
    assert plain.one(rows[0].tolist()) == made.one(rows[0].tolist())


def test_trees_are_read_as_the_onnx_package_reads_them() -> None:
    import onnx
    from onnx import numpy_helper

    found = trees.read(files().model)
    assert found is not None
    node = onnx.load_from_string(files().model).graph.node[2]
    named = {attribute.name: attribute for attribute in node.attribute}
    assert found.roots.tolist() == list(named["tree_roots"].ints)
    assert found.feature.tolist() == list(named["nodes_featureids"].ints)
    assert found.target.tolist() == list(named["leaf_targetids"].ints)
    np.testing.assert_array_equal(found.split, numpy_helper.to_array(named["nodes_splits"].t))
    assert replace(found).leaves[0].tolist() == [flag != 0 for flag in named["nodes_trueleafs"].ints]
