"""A scikit-learn forest as ONNX, in double precision: the same numbers, not nearly the same.

Written by hand because the usual converter writes single precision: thresholds move by half a unit in the last place, and values
on the other side of one change class (36 of 10,000 points of a grid over iris did). Here the graph does what scikit-learn does,
in its order: round the input to single precision (as its trees do before they compare), walk the trees in double precision,
add up in the trees' order, divide by their number, take the first of the largest.

    features (double) -> Cast float -> Cast double -> TreeEnsemble -> Div -> probabilities -> ArgMax -> label

A leaf of ONNX's TreeEnsemble adds to one class only. Where all leaves of a tree are pure that is enough; else the tree is written
once per class.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier

Array = npt.NDArray[np.float64]

OPSET, TREES_OPSET, IR_VERSION = 18, 5, 10
_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0


@dataclass
class _Nodes:
    """The attributes of TreeEnsemble, as they grow tree by tree."""

    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    true_nodes: list[int] = field(default_factory=list)
    true_leafs: list[int] = field(default_factory=list)
    false_nodes: list[int] = field(default_factory=list)
    false_leafs: list[int] = field(default_factory=list)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[float] = field(default_factory=list)


def convert(forest: RandomForestClassifier) -> bytes:
    """The model file. The same forest gives the same bytes."""
    classes = len(forest.classes_)
    nodes = _Nodes()
    for estimator in forest.estimators_:
        _add_tree(nodes, estimator.tree_, classes)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["features"], ["rounded"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["rounded"], ["values"], to=TensorProto.DOUBLE),
            _ensemble(nodes, classes),
            helper.make_node("Div", ["sums", "trees"], ["probabilities"]),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0, select_last_index=0),
        ],
        "forest",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["rows", forest.n_features_in_])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]),
            helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["rows", classes]),
        ],
        [numpy_helper.from_array(np.array(float(len(forest.estimators_))), "trees")],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="training")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _add_tree(nodes: _Nodes, tree: object, classes: int) -> None:
    shares: Array = tree.value[:, 0, :]  # type: ignore[attr-defined]
    leaf: npt.NDArray[np.bool_] = tree.feature < 0  # type: ignore[attr-defined]
    pure = bool(np.all(shares[leaf].max(axis=1) == 1.0))
    if pure:
        _add_copy(nodes, tree, leaf=leaf, targets=shares[leaf].argmax(axis=1).tolist(), weights=[1.0] * int(leaf.sum()))
        return
    for target in range(classes):
        _add_copy(nodes, tree, leaf=leaf, targets=[target] * int(leaf.sum()), weights=shares[leaf][:, target].tolist())


def _add_copy(
    nodes: _Nodes, tree: object, *, leaf: npt.NDArray[np.bool_], targets: list[int], weights: list[float]
) -> None:
    inner = ~leaf
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    place = np.where(inner, np.cumsum(inner) - 1 + len(nodes.features), np.cumsum(leaf) - 1 + len(nodes.leaf_targets))
    nodes.leaf_targets += targets
    nodes.leaf_weights += weights
    nodes.roots.append(len(nodes.features))
    if not inner.any():  # a tree of one leaf: ONNX wants a node, so both ways of one lead to it
        only = int(place[0])
        inner, left, right = np.array([True]), np.array([0]), np.array([0])
        place = np.array([only])
    nodes.features += np.maximum(tree.feature[inner], 0).tolist()  # type: ignore[attr-defined]
    nodes.splits += tree.threshold[inner].tolist()  # type: ignore[attr-defined]
    nodes.true_nodes += place[left[inner]].tolist()
    nodes.true_leafs += leaf[left[inner]].astype(int).tolist()
    nodes.false_nodes += place[right[inner]].tolist()
    nodes.false_leafs += leaf[right[inner]].astype(int).tolist()


def _ensemble(nodes: _Nodes, classes: int) -> onnx.NodeProto:
    return helper.make_node(
        "TreeEnsemble",
        ["values"],
        ["sums"],
        domain="ai.onnx.ml",
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        n_targets=classes,
        tree_roots=nodes.roots,
        nodes_featureids=nodes.features,
        nodes_splits=numpy_helper.from_array(np.array(nodes.splits, dtype=np.float64), "splits"),
        nodes_modes=numpy_helper.from_array(np.full(len(nodes.features), _LESS_OR_EQUAL, dtype=np.uint8), "modes"),
        nodes_truenodeids=nodes.true_nodes,
        nodes_trueleafs=nodes.true_leafs,
        nodes_falsenodeids=nodes.false_nodes,
        nodes_falseleafs=nodes.false_leafs,
        leaf_targetids=nodes.leaf_targets,
        leaf_weights=numpy_helper.from_array(np.array(nodes.leaf_weights, dtype=np.float64), "weights"),
    )
