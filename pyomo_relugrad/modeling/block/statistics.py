"""The table that `ReluNetworkBlockData.print_stats` writes, and that notebooks show."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network, PreactivationBounds, interval_bounds
from pyomo_relugrad.notebook import html_table
from pyomo_relugrad.words import counted

#: Named inputs, and outputs, that are listed with their variables.
MAX_NAMED = 20

HEADER = ("layer", "shape", "weights", "relus", "active", "inactive", "unstable")


@dataclass(frozen=True)
class Statistics:
    """Sizes of a block's network, and its ReLUs by what the inputs' bounds decide.

    Parameters
    ----------
    title, sizes : str
    named : tuple of str
        Which variable stands for each input and output that has a name.
    rows : tuple of rows
        For each layer what `HEADER` says.
    """

    title: str
    sizes: str
    named: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def text(self) -> str:
        """As lines, a table of columns below."""
        lines = [list(map(str, row)) for row in (HEADER, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = (
            "  ".join(
                [row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))]
            )
            for row in lines
        )
        return "\n".join([self.title, self.sizes, *self.named, *(line.rstrip() for line in table)])

    def html(self) -> str:
        """As a table for notebooks."""
        return html_table(f"{self.title}, {self.sizes}", self.rows, HEADER)


def statistics_of(
    block_name: str, network: Network, box: tuple[Array, Array], columns: Mapping[str, Sequence[Any]]
) -> Statistics:
    """Count neurons and weights, layer by layer.

    Parameters
    ----------
    block_name : str
    network : Network
        A function of the block's variables.
    box : pair of (n_inputs,) arrays
        The inputs' bounds.
    columns : mapping
        The variables that stand for the inputs, under "input", and for the outputs, under "output".
    """
    lower, upper = box
    bounds = interval_bounds(network, lower[None, :], upper[None, :])
    counts = _counts(network, bounds)
    kinds = ("" if own.is_piecewise_linear else f" {own.name}" for own in network.hidden_activations)
    names = [f"{number}{kind}" for number, kind in enumerate(kinds, start=1)]
    rows = [
        (name, f"{sum(w.shape[1] for w in layer.weights)} -> {layer.width}", sum(w.size for w in layer.weights), *own)
        for name, layer, own in zip([*names, "output"], network.layers, [*counts, ("",) * 4], strict=True)
    ]
    rows.append(("total", "", network.n_weights, *(np.sum(counts, axis=0) if counts else (0,) * 4)))
    title = f"Network block '{block_name}'" + (f": {network.name}" if network.name else "")
    sizes = f"{counted(network.n_inputs, 'input')}, {counted(network.n_outputs, 'output')}"
    return Statistics(title, sizes, tuple(_named(network, columns)), tuple(rows))


def _named(network: Network, columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Which variable stands for each input and output that has a name."""
    for what, names in (("input", network.input_names), ("output", network.output_names)):
        for name, variable in zip(names[:MAX_NAMED], columns[what], strict=False):
            yield f"  {what} {name}: {variable.name}"
        if len(names) > MAX_NAMED:
            yield f"  ... ({len(names)} {what}s)"


def _counts(network: Network, bounds: PreactivationBounds) -> list[tuple[int, ...]]:
    """ReLUs of each hidden layer: all, always active, always inactive, unstable."""
    layers = zip(network.hidden_activations, bounds.active, bounds.inactive, bounds.unstable, strict=True)
    return [
        (states[0].size if own.is_piecewise_linear else 0, *(int(state.sum()) for state in states))
        for own, *states in layers
    ]
