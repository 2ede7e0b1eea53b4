"""``relugrad bench``: the search methods side by side, each for the same time."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np

from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.optimize import box_problem
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.run import Stop
from pyomo_relugrad.search import METHODS
from pyomo_relugrad.solve import search

# Widths of the random networks; their inputs lie in [-1, 1].
_WIDTHS = (10, 50, 50, 1)

_COLUMNS = f"{'Method':<15} {'Value':>14} {'Below best':>11} {'Found at (s)':>13} {'Ended (s)':>10} {'Points':>10}"


@dataclass(frozen=True)
class Row:
    """What one method did on one network.

    Parameters
    ----------
    network, method : str
    value : float or None
        The largest value of the objective that it found, None where it found no point.
    found_at, ended : float
        Seconds until that value, and until the end of the search.
    points : int
        Evaluated points.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    network: str
    method: str
    value: float | None
    found_at: float
    ended: float
    points: int
    interrupted: bool


def compare_methods(arguments: Arguments) -> ExitCode:
    """Compare the methods."""
    methods = list(METHODS) if arguments.methods is None else arguments.methods
    rows: list[Row] = []
    for name, problem in _problems(arguments):
        of_network = list(_compare(name, problem, methods, arguments))
        rows += of_network
        if not arguments.json:
            print("\n".join(_table(name, of_network)), flush=True)
        if of_network[-1].interrupted:
            break
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return ExitCode.FINE if any(row.value is not None for row in rows) else ExitCode.NOTHING_FOUND


def _problems(arguments: Arguments) -> Iterator[tuple[str, Problem]]:
    """Name and problem of each network: the file's, or random ones."""
    if arguments.file is not None:
        network = load_network(arguments.file)
        yield str(arguments.file), box_problem(network, arguments)
        return
    box = replace(arguments, lower=np.array(-1.0), upper=np.array(1.0), output=0, weights=None)
    for seed in range(arguments.seed, arguments.seed + arguments.networks):
        widths = "-".join(map(str, _WIDTHS))
        yield f"random network {widths} of seed {seed}", box_problem(_random_network(seed), box)


def _random_network(seed: int) -> Network:
    """Normal weights, scaled as He et al. (arXiv 1502.01852) do, so that values neither vanish nor explode."""
    random = np.random.default_rng(seed)
    weights = [random.normal(scale=np.sqrt(2 / n), size=(m, n)) for n, m in pairwise(_WIDTHS)]
    return Network.from_layers(weights, [random.normal(scale=0.1, size=len(weight)) for weight in weights])


def _compare(name: str, problem: Problem, methods: list[str], arguments: Arguments) -> Iterator[Row]:
    for method in methods:
        result = search(problem, method, time_limit=arguments.time_limit, seed=arguments.seed)
        best = result.incumbent
        yield Row(
            network=name,
            method=method,
            value=None if best is None else problem.reported(best.objective),
            found_at=result.history[-1][0] if result.history else 0.0,
            ended=result.elapsed,
            points=result.points,
            interrupted=result.stop is Stop.INTERRUPTED,
        )
        if result.stop is Stop.INTERRUPTED:
            return


def _table(name: str, rows: list[Row]) -> Iterator[str]:
    """The rows of one network as text."""
    best = max((row.value for row in rows if row.value is not None), default=0.0)
    yield from (f"\n{name}", _COLUMNS)
    for row in rows:
        value, below = "-", "-"
        if row.value is not None:
            value = f"{row.value:.8g}"
            below = f"{100 * (best - row.value) / max(abs(best), 1e-10):.3f}%"
        yield f"{row.method:<15} {value:>14} {below:>11} {row.found_at:13.2f} {row.ended:10.2f} {row.points:10d}"
