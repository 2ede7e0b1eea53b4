"""``relugrad info``: what is in a file, what it was read into, and how hard it is to optimize over."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.values import as_box
from pyomo_relugrad.network import Network, NetworkStatistics, interval_bounds, network_statistics, stability_statistics
from pyomo_relugrad.network.linear_maps import entries
from pyomo_relugrad.proof import bound_seconds
from pyomo_relugrad.readers.onnx import load_onnx
from pyomo_relugrad.readers.onnx.model_file import open_model
from pyomo_relugrad.solve import array_problem
from pyomo_relugrad.words import counted

# Seconds that CROWN may take, and multiplications that counting regions may, before they are left out.
MAX_CROWN_SECONDS, MAX_PRODUCTS = 10.0, 1e10

SEGMENTS = 32

_COLUMNS = ("layer", "reads", "width", "weights", "nonzero", "stored")


def show_network(arguments: Arguments) -> ExitCode:
    """Show a network."""
    network = load_onnx(str(arguments.file))
    operators = Counter(node.op_type for node in open_model(str(arguments.file)).model.graph.node)
    lower, upper = arguments.lower, arguments.upper
    low, high = np.zeros(()) if lower is None else lower, np.ones(()) if upper is None else upper
    difficulty = difficulty_of(network, *as_box(low, high, network.n_inputs))
    if arguments.json:
        print(json.dumps(_as_dict(network, operators, difficulty), indent=2))
    else:
        print("\n".join(report(network, operators, difficulty, _box_name(arguments))))
    return ExitCode.FINE


def difficulty_of(
    network: Network,
    lower: Array,
    upper: Array,
    max_crown_seconds: float = MAX_CROWN_SECONDS,
    max_products: float = MAX_PRODUCTS,
) -> NetworkStatistics:
    """What can be known in some seconds: without CROWN, or without linear regions, where these take longer."""
    problem = array_problem(network, np.eye(network.n_outputs)[0], lower, upper)
    bounds = ("interval", "crown") if bound_seconds(problem) <= max_crown_seconds else ("interval",)
    unstable = stability_statistics(interval_bounds(network, lower[None], upper[None])).unstable
    segments = SEGMENTS if network.n_weights * unstable * SEGMENTS <= max_products else 0
    return network_statistics(network, lower, upper, bounds=bounds, segments=segments)


def _box_name(arguments: Arguments) -> str:
    sides = [(0.0, arguments.lower), (1.0, arguments.upper)]
    named = [side if array is None else float(array) for side, array in sides if array is None or not array.ndim]
    return f"[{named[0]:g}, {named[1]:g}]" if len(named) == 2 else "given"


def report(network: Network, operators: Counter[str], difficulty: NetworkStatistics, box: str) -> list[str]:
    """The lines that are shown."""
    nodes = ", ".join(f"{count} {operator}" for operator, count in operators.most_common())
    lines = [f"Network   {network.name}"]
    for title, specs in (("Inputs ", network.inputs), ("Outputs", network.outputs)):
        lines += [f"{title}   {spec.name}: {spec.size} of shape {spec.shape}" for spec in specs]
    lines += [f"File      {operators.total()} nodes: {nodes}", f"Read as   {_form(network)}", ""]
    lines += [*_table([_COLUMNS, *(_layer_row(network, index) for index in range(len(network.layers)))]), ""]
    if network.n_relus < network.n_neurons:
        smooth = counted(network.n_neurons - network.n_relus, "neuron")
        lines.append(f"Smooth    {smooth}: {', '.join(network.smooth_activations)}")
    if network.n_relus == 0:
        return lines if network.n_neurons else [*lines, "ReLUs     none: the network is affine"]
    lines += [f"ReLUs     {network.n_relus}; over the box {box} of inputs these are stable:"]
    for name, stability in difficulty.stability.items():
        lines.append(
            f"  {name:8} {100 * stability.stable_share:5.1f}%: {stability.active} always active, "
            f"{stability.inactive} never, {stability.unstable} undecided; largest big-M {stability.largest_big_m:.4g}"
        )
    if "crown" not in difficulty.stability:
        lines.append("  crown    left out: the network is too large for it to take seconds")
    if difficulty.regions_per_segment is not None:
        lines.append(f"Regions   {difficulty.regions_per_segment:.1f} on a segment between random points of the box")
    return lines


def _form(network: Network) -> str:
    hidden = len(network.widths)
    skips = sum(layer.sources != (index,) for index, layer in enumerate(network.layers))
    neurons = "ReLUs" if network.is_piecewise_linear else "neurons"
    words = f"{counted(hidden, 'layer')} of {neurons} and an affine output"
    return f"{words}; {skips} read more than the layer before" if skips else words


def _layer_row(network: Network, index: int) -> tuple[str, ...]:
    layer = network.layers[index]
    is_sparse = any(sparse.issparse(weight) for weight in layer.weights)
    shape_size = sum(weight.shape[0] * weight.shape[1] for weight in layer.weights)
    return (
        "output" if index == len(network.layers) - 1 else str(index + 1),
        ", ".join("input" if source == 0 else str(source) for source in layer.sources) or "nothing",
        str(layer.width),
        str(shape_size),
        str(sum(int(np.count_nonzero(entries(weight))) for weight in layer.weights)),
        "sparse" if is_sparse else "dense",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(size) for cell, size in zip(row, widths, strict=True)) for row in rows]


def _as_dict(network: Network, operators: Counter[str], difficulty: NetworkStatistics) -> dict[str, Any]:
    return {
        "name": network.name,
        "inputs": {spec.name: list(spec.shape) for spec in network.inputs},
        "outputs": {spec.name: list(spec.shape) for spec in network.outputs},
        "operators": dict(operators),
        "widths": list(network.widths),
        "relus": network.n_relus,
        "smooth_activations": list(network.smooth_activations),
        "nonzeros": difficulty.n_nonzeros,
        "stability": {name: asdict(statistics) for name, statistics in difficulty.stability.items()},
        "regions_per_segment": difficulty.regions_per_segment,
    }
