"""ReLUs whose epigraph is enough: the problem itself presses them down onto their value.

A ReLU is convex. Where a smaller activation harms neither the objective nor a row, ``h >= 0`` and ``h >= z`` may stand
for ``h = max(z, 0)``: at every point that meets them, the activation can be lowered to the ReLU's value, and nothing
gets worse. Such a ReLU needs no binary. A network that is convex in its inputs and minimized needs none at all (Amos,
Xu, Kolter, Input convex neural networks, 2017, arXiv 1609.07152): it is a linear program.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import Network, PreactivationBounds
from pyomo_relugrad.network.bounds import sign_parts
from pyomo_relugrad.network.linear_maps import row_blocks
from pyomo_relugrad.problem.bounds import ProblemBounds, bound_problem
from pyomo_relugrad.problem.problem import Problem

#: By stage and hidden layer, (k, n_k) booleans for the k embeddings of a network.
ReluMask: TypeAlias = tuple[tuple[Array, ...], ...]


@dataclass(frozen=True, eq=False)
class _Harm:
    """Where a smaller value may harm, and where a larger one: booleans, changed in place."""

    by_falling: Array
    by_rising: Array

    def take(self, places: Array) -> _Harm:
        return _Harm(self.by_falling[places], self.by_rising[places])

    def add(self, places: Array, other: _Harm) -> None:
        """Harm what stands at the places, each as often as it is named."""
        np.logical_or.at(self.by_falling, places, other.by_falling)
        np.logical_or.at(self.by_rising, places, other.by_rising)

    def __or__(self, other: _Harm) -> _Harm:
        return _Harm(self.by_falling | other.by_falling, self.by_rising | other.by_rising)

    def where(self, kept: Array) -> _Harm:
        return _Harm(self.by_falling & kept, self.by_rising & kept)

    def before(self, weight: Weight) -> _Harm:
        """The harm (k, n_s) that comes from values which are harmed (k, n_k) and weighted sums of those."""
        shape = len(self.by_falling), weight.shape[1]
        harm = _Harm(np.zeros(shape, bool), np.zeros(shape, bool))
        for rows, part in row_blocks(weight):
            positive, negative = (abs(own) for own in sign_parts(part))
            falling, rising = (own[:, rows].astype(float) for own in (self.by_falling, self.by_rising))
            harm |= _Harm(falling @ positive + rising @ negative > 0, rising @ positive + falling @ negative > 0)
            if harm.by_falling.all() and harm.by_rising.all():
                break
        return harm


def epigraph_relus(problem: Problem, bounds: ProblemBounds | None = None) -> ReluMask:
    """The ReLUs whose epigraph is enough.

    Parameters
    ----------
    problem : Problem
    bounds : ProblemBounds, optional
        Of intervals or CROWN. ReLUs that they decide pass nothing or all on, and sides of rows and bounds on outputs
        that the networks keep anyway harm nothing. Without them every ReLU counts as undecided.
    """
    masks = list(_masks_from_the_last(problem, _harm_of_columns(problem, bounds), bounds))[::-1]
    found: list[tuple[Array, ...]] = []
    for stage in problem.relu_stages:
        count = len(stage.network.widths)
        found.append(tuple(masks[:count]))
        masks = masks[count:]
    return tuple(found)


def is_linear_program(problem: Problem) -> bool:
    """Whether a problem around networks is a linear program: epigraphs are enough for all of its ReLUs."""
    is_linear = problem.quadratic is None and not problem.integers.any() and not problem.operations
    if not is_linear or not problem.networks or not problem.is_piecewise_linear:
        return False
    if not all(layer.all() for layer in _masks_from_the_last(problem, _certain_harm(problem), None)):
        return False  # as nearly always, and no bounds are needed
    bounds = bound_problem(problem, "interval")
    return all(layer.all() for layer in _masks_from_the_last(problem, _harm_of_columns(problem, bounds), bounds))


def _certain_harm(problem: Problem) -> _Harm:
    """What the objective and equations say of each column, whatever its bounds are."""
    equations = problem.row_lower == problem.row_upper
    harm = _Harm(equations[None], equations[None]).before(problem.rows)
    return _Harm(harm.by_falling[0] | (problem.cost < 0), harm.by_rising[0] | (problem.cost > 0))


def _harm_of_columns(problem: Problem, bounds: ProblemBounds | None) -> _Harm:
    """What rows, bounds and the objective say of each column, not what networks do that read it."""
    at_least, at_most = np.isfinite(problem.row_lower), np.isfinite(problem.row_upper)
    lower_binds, upper_binds = np.isfinite(problem.lower), np.isfinite(problem.upper)
    if bounds is not None:
        lower, upper = bounds.lower.copy(), bounds.upper.copy()
        for stage, own in zip(problem.relu_stages, bounds.networks, strict=True):
            lower[stage.outputs], upper[stage.outputs] = own.output_lower, own.output_upper
        lower_binds, upper_binds = lower < problem.lower, upper > problem.upper  # of what networks write
        positive, negative = sign_parts(problem.rows)
        at_least &= ~(positive @ lower + negative @ upper >= problem.row_lower)
        at_most &= ~(positive @ upper + negative @ lower <= problem.row_upper)
    from_rows = _Harm(at_least[None], at_most[None]).before(problem.rows)
    mixed = problem.integers.copy()
    if problem.quadratic is not None:
        mixed[sparse.coo_array(problem.quadratic).coords[0]] = True
    for embedded in problem.expressions:
        mixed[embedded.inputs] = True
    if problem.operations or problem.ordered_sets:  # not presolved
        mixed[:] = True
    return _Harm(
        mixed | lower_binds | (problem.cost < 0) | from_rows.by_falling[0],
        mixed | upper_binds | (problem.cost > 0) | from_rows.by_rising[0],
    )


def _masks_from_the_last(problem: Problem, harm: _Harm, bounds: ProblemBounds | None) -> Iterator[Array]:
    """By hidden layer, from the last one of the last stage on, the ReLUs whose epigraph is enough.

    Changes the harm of the columns.
    """
    for number, stage in reversed(list(enumerate(problem.relu_stages))):
        own = None if bounds is None else bounds.networks[number]
        harm.add(stage.inputs, (yield from _through(stage.network, harm.take(stage.outputs), own)))


def _through(network: Network, outputs: _Harm, bounds: PreactivationBounds | None) -> Generator[Array, None, _Harm]:
    """The ReLUs whose epigraph is enough, from the last hidden layer on; returns the harm of the inputs."""
    count = len(outputs.by_falling)
    sizes = (network.n_inputs, *network.widths)
    harms = [_Harm(np.zeros((count, size), bool), np.zeros((count, size), bool)) for size in sizes]
    for index in range(len(network.layers) - 1, -1, -1):
        own = outputs
        if index < len(network.widths):
            own = harms[index + 1]
            yield ~own.by_falling
            own = own if bounds is None else own.where(~bounds.inactive[index])
        for source, weight in network.layers[index].terms:
            harms[source] |= own.before(weight)
    return harms[0]
