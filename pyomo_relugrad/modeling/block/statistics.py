"""The table that `ReluNetworkBlockData.print_stats` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Network, PreactivationBounds, interval_bounds
from pyomo_relugrad.words import counted

#: Named inputs, and outputs, that are listed with their variables.
MAX_NAMED = 20


def write_statistics(
    block_name: str, network: Network, box: tuple[Array, Array], columns: Mapping[str, Sequence[Any]], file: TextIO
) -> None:
    """Write sizes of the network, and its ReLUs by what the inputs' bounds decide, as text.

    Parameters
    ----------
    block_name : str
    network : Network
        A function of the block's variables.
    box : pair of (n_inputs,) arrays
        The inputs' bounds.
    columns : mapping
        The variables that stand for the inputs, under "input", and for the outputs, under "output".
    file : text stream
    """
    lower, upper = box
    bounds = interval_bounds(network, lower[None, :], upper[None, :])
    rows = [_layer_row(network, bounds, index) for index in range(len(network.layers))]
    rows.append(("total", "", str(network.n_weights), *map(str, _states(network, bounds))))
    header = ("layer", "shape", "weights", "relus", "active", "inactive", "unstable")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    title = f"Network block '{block_name}'" + (f": {network.name}" if network.name else "")
    sizes = f"{counted(network.n_inputs, 'input')}, {counted(network.n_outputs, 'output')}"
    print(title, sizes, *_named(network, columns), sep="\n", file=file)
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip(), file=file)


def _named(network: Network, columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """Which variable stands for each input and output that has a name."""
    for what, names in (("input", network.input_names), ("output", network.output_names)):
        for name, variable in zip(names[:MAX_NAMED], columns[what], strict=False):
            yield f"  {what} {name}: {variable.name}"
        if len(names) > MAX_NAMED:
            yield f"  ... ({len(names)} {what}s)"


def _layer_row(network: Network, bounds: PreactivationBounds, index: int) -> tuple[str, ...]:
    layer = network.layers[index]
    inputs = sum(weight.shape[1] for weight in layer.weights)
    hidden = index < len(network.layers) - 1
    name = str(index + 1) if hidden else "output"
    states = _states(network, bounds, index) if hidden else ()
    weights = sum(int(weight.size) for weight in layer.weights)
    return name, f"{inputs} -> {layer.width}", str(weights), *(map(str, states) if hidden else [""] * 4)


def _states(network: Network, bounds: PreactivationBounds, index: int | None = None) -> tuple[int, int, int, int]:
    """Numbers of ReLUs: all, always active, always inactive, unstable; of one layer or of all."""
    chosen = range(len(network.widths)) if index is None else [index]
    counts = [
        sum(int(states[layer].sum()) for layer in chosen)
        for states in (bounds.active, bounds.inactive, bounds.unstable)
    ]
    return sum(network.widths[layer] for layer in chosen), counts[0], counts[1], counts[2]
