"""The confusion matrix as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.data import Integers


def confusion(matrix: Integers, classes: tuple[str, ...], path: Path) -> None:
    """Draw it to a PNG file. Without pyplot: no global state, no display."""
    size = max(4.0, 0.6 * len(classes) + 2.2)
    figure = Figure(figsize=(size, size), layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(matrix, cmap="Blues")
    axes.set(xlabel="predicted", ylabel="true", title="Confusion matrix (test set)")
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    middle = matrix.max() / 2
    for row in range(len(classes)):
        for column in range(len(classes)):
            count = int(matrix[row, column])
            axes.text(column, row, str(count), ha="center", va="center", color="white" if count > middle else "black")
    figure.savefig(path, dpi=110)
