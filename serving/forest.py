"""A forest as bit tables: a row's classes are counted with a few ANDs, instead of walking every tree.

Every leaf of every tree is one bit. For each feature, the thresholds of the whole forest cut the line into bins, and a table says which leaves a
value in that bin may still end in. The AND of the row's bins, one per feature, leaves exactly one bit per tree: the leaf the row ends in. Leaves
are ordered by class, so a class's votes are the ones in its part of the bits. (The idea is QuickScorer's, Lucchese et al., SIGIR 2015.)

200 trees over iris have 1,538 leaves: a row is four look-ups and three ANDs of 200 bytes, about 2 µs where ONNX Runtime takes 25 and more; 10,000
rows take 5 ms instead of 60. The answers are not nearly but exactly the same: votes are whole numbers, divided once, as the graph does.

ONNX Runtime stays the judge. `compile` hands out tables only after they gave its answers, bit for bit, on random points and on points at and
right beside the thresholds; a forest that has leaves of mixed classes, or would make tables of more than MOST_BYTES, is left to ONNX Runtime.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serving.trees import Trees

Rows = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Predict = Callable[[Rows], "tuple[Integers, Rows]"]

MOST_BYTES = 32 * 1024 * 1024
PROBES = 1000
_WORD, _BLOCK = 64, 1000


@dataclass(frozen=True)
class Forest:
    """`edges` and `tables` by feature. The same table twice: as arrays of words for many rows, as whole numbers for one."""

    trees: int
    edges: tuple[Rows, ...]
    tables: tuple[npt.NDArray[np.uint64], ...]
    sums: Rows
    """[words, classes]: 1 where the word belongs to the class."""
    quick: tuple[tuple[list[float], list[int]], ...]
    masks: tuple[int, ...]

    def one(self, values: Sequence[float]) -> tuple[int, list[float]]:
        """Class number and probabilities of one row."""
        left = -1
        for (edges, table), value in zip(self.quick, values, strict=True):
            left &= table[bisect_left(edges, value)]
        votes = [(left & mask).bit_count() for mask in self.masks]
        return votes.index(max(votes)), [count / self.trees for count in votes]

    def predict(self, rows: Rows) -> tuple[Integers, Rows]:
        """The same for many rows, a block at a time: what a block needs stays in the processor's cache."""
        blocks = [self._votes(rows[at : at + _BLOCK]) for at in range(0, len(rows), _BLOCK)]
        votes = np.concatenate(blocks)
        return votes.argmax(axis=1), votes / self.trees

    def _votes(self, rows: Rows) -> Rows:
        left: npt.NDArray[np.uint64] | None = None
        for column, (edges, table) in enumerate(zip(self.edges, self.tables, strict=True)):
            found = table.take(np.searchsorted(edges, rows[:, column], side="left"), axis=0)
            left = found if left is None else np.bitwise_and(left, found, out=left)
        assert left is not None
        votes: Rows = np.bitwise_count(left).astype(np.float64) @ self.sums  # whole numbers, so the product is exact
        return votes


def compile(
    trees: Trees, *, features: int, classes: int, judge: Predict, reach: Sequence[tuple[float, float]]
) -> Forest | None:
    """The tables of a forest, or None where they are not to be had. `judge` answers for ONNX Runtime, `reach` is where values may lie."""
    if not bool(np.all(trees.weight == 1.0)) or set(trees.target.tolist()) != set(range(classes)):
        return None
    cuts = _rounded(trees.split)
    edges = tuple(np.unique(cuts[trees.feature == feature]) for feature in range(features))
    width = sum(-(-int(np.sum(trees.target == label)) // _WORD) for label in range(classes))
    if width * 8 * sum(len(found) + 1 for found in edges) > MOST_BYTES:
        return None
    forest = _tables(trees, cuts, edges, classes)
    return forest if _agrees(forest, judge, reach) else None


def _rounded(splits: Rows) -> Rows:
    """For each threshold the largest double that single precision rounds to a value not above it.

    The graph rounds a value to single precision before it compares. Rounding keeps order, so comparing the value itself with this number is the same.
    """
    below = splits.astype(np.float32)
    below = np.where(below > splits, np.nextafter(below, np.float32(-np.inf)), below)
    above = np.nextafter(below, np.float32(np.inf))
    middle = (below.astype(np.float64) + above.astype(np.float64)) / 2
    even = (below.view(np.int32) & 1) == 0  # half-way goes to the even one of the two
    return np.where(even, middle, np.nextafter(middle, -np.inf))


def _tables(trees: Trees, cuts: Rows, edges: tuple[Rows, ...], classes: int) -> Forest:
    first, last = _intervals(trees, cuts, edges)
    order = [np.flatnonzero(trees.target == label) for label in range(classes)]
    tables = []
    for feature, found in enumerate(edges):
        bins = np.arange(len(found) + 1)[:, None]
        parts = [(first[leaves, feature] <= bins) & (bins <= last[leaves, feature]) for leaves in order]
        tables.append(np.concatenate([_packed(part) for part in parts], axis=1))
    widths = [-(-len(leaves) // _WORD) for leaves in order]
    places = np.cumsum([0, *widths[:-1]]).tolist()
    return Forest(
        trees=len(trees.roots),
        edges=edges,
        tables=tuple(tables),
        sums=np.repeat(np.eye(classes), widths, axis=0),
        quick=tuple(
            (found.tolist(), [_whole(row) for row in table]) for found, table in zip(edges, tables, strict=True)
        ),
        masks=tuple(((1 << _WORD * width) - 1) << _WORD * place for place, width in zip(places, widths, strict=True)),
    )


def _intervals(
    trees: Trees, cuts: Rows, edges: tuple[Rows, ...]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The first and last bin of every feature from which a leaf can be reached: [leaves, features] both."""
    shape = (len(trees.target), len(edges))
    first, last = (
        np.zeros(shape, dtype=np.int32),
        np.tile([len(found) for found in edges], (shape[0], 1)).astype(np.int32),
    )
    cut = np.zeros(len(cuts), dtype=np.int64)
    for feature, found in enumerate(edges):
        here = trees.feature == feature
        cut[here] = np.searchsorted(found, cuts[here])
    columns = (cut, trees.feature, *trees.children, *trees.leaves)
    nodes = list(zip(*(column.tolist() for column in columns), strict=True))
    stack = [(int(root), first[0].tolist(), last[0].tolist()) for root in trees.roots]
    for _ in nodes:  # each is come to once
        node, low, high = stack.pop()
        place, feature, yes, no, yes_leaf, no_leaf = nodes[node]
        if yes_leaf and no_leaf and yes == no:  # a tree of one leaf
            first[yes], last[yes] = low, high
            continue
        left = high.copy()
        left[feature] = min(high[feature], place)
        right = low.copy()
        right[feature] = max(low[feature], place + 1)
        for child, leaf, bounds in ((yes, yes_leaf, (low, left)), (no, no_leaf, (right, high))):
            if leaf:
                first[child], last[child] = bounds
            else:
                stack.append((child, *bounds))
    return first, last


def _packed(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Rows of bits as rows of whole words."""
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % _WORD)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def _whole(words: npt.NDArray[np.uint64]) -> int:
    return int.from_bytes(words.astype("<u8").tobytes(), "little")


def _agrees(forest: Forest, judge: Predict, reach: Sequence[tuple[float, float]]) -> bool:
    """Whether the tables answer as ONNX Runtime does, for single rows too."""
    random = np.random.default_rng(0)
    low, high = np.array(reach).T
    points = np.concatenate([random.uniform(low, high, (PROBES, len(reach))), _beside(forest.edges, reach, random)])
    expected_label, expected = judge(points)
    label, probabilities = forest.predict(points)
    if not (np.array_equal(label, expected_label) and np.array_equal(probabilities, expected)):
        return False
    some = range(0, len(points), 20)
    return all(forest.one(points[i].tolist()) == (label[i], probabilities[i].tolist()) for i in some)


def _beside(edges: tuple[Rows, ...], reach: Sequence[tuple[float, float]], random: np.random.Generator) -> Rows:
    """Points whose every coordinate is where the answer may change, or the next number to either side."""
    columns = []
    for found, bounds in zip(edges, reach, strict=True):
        near = np.concatenate([found, np.nextafter(found, np.inf), np.nextafter(found, -np.inf)])
        columns.append(random.choice(near if near.size else np.array(bounds), PROBES))
    return np.stack(columns, axis=1)
