"""The search for a counterexample of a property: an input that satisfies one of its cases."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.affine import Affine
from pyomo_relugrad.network.builder import HiddenLayers, affine_of, largest
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.programs.threads import solver_threads
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.readers.vnnlib import Case, Property, load_vnnlib
from pyomo_relugrad.run import Clock, Method, Options, Stop
from pyomo_relugrad.solve.local import solve_locally

_SAMPLED_NUMBERS = 2**16
_FIRST_SLICE = 0.1
_SHORTEST_SLICE = 0.02


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input that satisfies a case of a property, checked in float64 without any tolerance.

    Parameters
    ----------
    x : (n_inputs,) array
    y : (n_outputs,) array
        The network's outputs at `x`.
    case : Case
        The case that they satisfy.
    """

    x: Array
    y: Array
    case: Case


@solver_threads()
def find_counterexample(
    network: Any,
    property_: Property | str | PathLike[str],
    *,
    time_limit: float = 10.0,
    seed: int = 0,
    method: str | Method = "auto",
) -> Counterexample | None:
    """Look for a counterexample.

    Each case is a search of its own: its largest violation, a piecewise-linear function of the inputs like the network
    itself, is minimized over the case's box until it is no longer positive. The cases take turns, those that are nearly
    satisfied at random points first, in rounds that start from new random points and take twice as long as the last.

    Parameters
    ----------
    network : Network, or what `load_network` takes
    property_ : Property or path
        Of a file that `load_vnnlib` reads.
    time_limit : float, optional
        Seconds.
    seed : int, optional
    method : str or Method, optional
        A name in `pyomo_relugrad.search.METHODS`, or a value such as ``Ppga(batch=64)``.

    Returns
    -------
    Counterexample or None
        None says that none was found, not that there is none.

    Raises
    ------
    ModelError
        If the property is not one of a network of this size, or an input has no finite bounds.

    Examples
    --------
    >>> from pyomo_relugrad.readers.vnnlib import parse_vnnlib
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    >>> text = "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (>= X_0 -1)) (assert (<= X_0 2))"
    >>> found = find_counterexample(network, parse_vnnlib(text + "(assert (>= Y_0 1.5))"))
    >>> found.case.violation(found.x, found.y) <= 0.0
    True
    >>> find_counterexample(network, parse_vnnlib(text + "(assert (<= Y_0 -0.5))"), time_limit=0.1) is None
    True
    """
    network, property_ = checked_query(network, property_)
    if not property_.cases:
        return None
    clock, round_ = Clock(time_limit), 0
    while round_ == 0 or not clock.is_over:
        rng = np.random.default_rng([seed, round_])
        share = clock.remaining / 2 / len(property_.cases)
        options = Options(
            max(min(_FIRST_SLICE * 2.0**round_, share), _SHORTEST_SLICE), None, seed + round_, method, threads=1
        )
        sampled: list[tuple[float, Array, Case]] = []
        for case in property_.cases:
            if not sampled or not clock.is_over:
                sampled.append(_best_sample(network, case, options.time_limit, rng))
        for violation, x, case in sorted(sampled, key=lambda sample: sample[0]):
            if violation <= 0.0:
                return Counterexample(x, network.value(x[None])[0], case)
            found = None if clock.is_over else _search_case(network, case, x, options)
            if found is not None:
                return found
        round_ += 1
    return None


def checked_query(network: Any, property_: Property | str | PathLike[str]) -> tuple[Network, Property]:
    """The network and the property, in whatever form they are given.

    Raises
    ------
    ModelError
        If the property is not one of a network of this size, or leaves an input without finite bounds.
    """
    network = load_network(network)
    if network.choices:
        raise ModelError(
            f"the network has the categorical input {network.choices[0].name!r}, and properties know numbers alone: "
            "state the property in a Pyomo model"
        )
    property_ = property_ if isinstance(property_, Property) else load_vnnlib(property_)
    if (network.n_inputs, network.n_outputs) != (property_.n_inputs, property_.n_outputs):
        raise ModelError(
            f"the property has {property_.n_inputs} inputs and {property_.n_outputs} outputs, but the network has "
            f"{network.n_inputs} and {network.n_outputs}"
        )
    for case in property_.cases:
        unbounded = ~(np.isfinite(case.lower) & np.isfinite(case.upper))
        if unbounded.any():
            raise ModelError(f"the property sets no finite bounds on the input X_{int(np.argmax(unbounded))}")
    return network, property_


def _best_sample(network: Network, case: Case, seconds: float, rng: np.random.Generator) -> tuple[float, Array, Case]:
    """The smallest violation of a case at random points of its box, drawn for so long, and the point."""
    clock = Clock(seconds)
    smallest, best = np.inf, case.lower
    batch = max(_SAMPLED_NUMBERS // network.n_inputs, 1)
    while smallest == np.inf or (smallest > 0.0 and not clock.is_over):
        points = case.lower + (case.upper - case.lower) * rng.random((batch, network.n_inputs))
        points = np.clip(points, case.lower, case.upper)
        excess = points @ case.input_rows.T + network.value(points) @ case.output_rows.T - case.limits
        violations = excess.max(axis=1, initial=-np.inf)
        index = int(np.argmin(violations))
        if violations[index] < smallest:
            smallest, best = float(violations[index]), points[index]
    return smallest, best, case


def _search_case(network: Network, case: Case, start: Array, options: Options) -> Counterexample | None:
    result = solve_locally(violation_problem(network, case), options, start=np.append(start, np.nan), target=0.0)
    for incumbent in result.pool:
        x = np.clip(incumbent.values[: network.n_inputs], case.lower, case.upper)
        y = network.value(x[None])[0]
        if case.violation(x, y) <= 0.0:
            return Counterexample(x, y, case)
    if result.stop is Stop.INTERRUPTED:  # Ctrl-C ends one search, but it was meant for all
        raise KeyboardInterrupt
    return None


def violation_problem(network: Network, case: Case) -> Problem:
    """The least violation of a case's rows over its box; the last column is the violation, the others the inputs."""
    violation = violation_network(network, case)
    n = network.n_inputs
    return Problem(
        cost=np.append(np.zeros(n), 1.0),
        lower=np.append(case.lower, -np.inf),
        upper=np.append(case.upper, np.inf),
        networks=(EmbeddedNetwork(violation, np.arange(n), np.array([n]), "violation"),),
    )


def violation_network(network: Network, case: Case) -> Network:
    """The network whose only output is the largest violation of a case's rows, positive where one does not hold."""
    hidden = HiddenLayers(network.layers[:-1])
    inputs = Affine.variable(0, (network.n_inputs,))
    size = case.limits.shape
    rows = inputs.mapped(sparse.csr_array(case.input_rows), size).plus(
        affine_of(network.layers[-1]).mapped(case.output_rows, size)
    )
    violations = rows.shifted(-case.limits)
    worst = largest(violations, np.arange(case.limits.size)[None, :], hidden)
    return Network(network.n_inputs, hidden.with_output(worst, network.dtype), name=network.name)
