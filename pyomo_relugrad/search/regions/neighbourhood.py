"""The neighbourhood of a vertex: some neurons free to switch, all others held, as a small MILP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.programs.linear_program import LinearProgram
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.regions.region import Region

# Facets of held neurons in the first MILP, those nearest to the vertex; further ones come when they are violated.
FIRST_FACETS = 100
# MILPs per neighbourhood, each with the facets that the one before violated.
MAX_ROUNDS = 6
# Distance by which a held neuron's facet may be violated.
FACET_TOLERANCE = 1e-7
# Entries of the matrices of all pre-activations and columns above which a neighbourhood is too large to be built.
MAX_ENTRIES = 3e7


@dataclass(frozen=True, eq=False)
class AffineNeurons:
    """Everything as affine functions of ``(u, h)``: decision columns and the free neurons' scaled activations.

    Parameters
    ----------
    slopes : (N, d + k) array
    offsets : (N,) array
        ``slopes @ (u, h) + offsets`` are the pre-activations while the held neurons keep their states.
    cost : (d + k,) array
        Gradient of the objective.
    lower, upper : (k,) arrays
        Bounds on the free neurons' pre-activations over the box of the decision columns.
    scale : (k,) array
        What one unit of each ``h`` stands for: the larger of the bounds' magnitudes.
    """

    slopes: Array
    offsets: Array
    cost: Array
    lower: Array
    upper: Array
    scale: Array


def is_small(region: Region, n_free: int) -> bool:
    """Whether the neighbourhood's matrices fit, and the objective is linear."""
    objective, problem = region.objective, region.objective.problem
    entries = (objective.n_relus + problem.n_columns) * (objective.size + n_free)
    return problem.quadratic is None and entries <= MAX_ENTRIES


def best_in_neighbourhood(
    program: RegionProgram, region: Region, free: Array, budget: Budget, options: dict[str, float]
) -> Array | None:
    """The best point (d,) while the `free` neurons may switch and all others keep their states.

    Parameters
    ----------
    program : RegionProgram
        Bounds and rows of the decision columns.
    region : Region
        At the vertex; the neurons in `free` have pre-activation zero there.
    free : (k,) int array
    budget : Budget
        Each MILP counts as an iteration.
    options : dict
        Of HiGHS, such as ``mip_max_nodes`` and ``time_limit``, which holds for each MILP.

    Returns
    -------
    array or None
        None where the MILP found nothing in the budget. The point may violate a few held facets by then; its value
        is what the network says there.
    """
    free = np.sort(free)
    affine = affine_neurons(region, free, program.lower, program.upper)
    seconds = float(options.get("time_limit", np.inf))
    milp = _free_neurons_milp(program, affine, free, {k: v for k, v in options.items() if k != "time_limit"})
    rows, offsets = _held_facets(region, affine, free)
    size = rows.shape[1]
    chosen = np.argsort(rows[:, : region.u.size] @ region.u + offsets, kind="stable")[:FIRST_FACETS]
    missing, best = np.ones(len(rows), bool), None
    for _ in range(MAX_ROUNDS):
        missing[chosen] = False
        padded = np.concatenate([rows[chosen], np.zeros((chosen.size, free.size))], axis=1)
        milp.append_rows(padded, -offsets[chosen], np.full(chosen.size, np.inf))
        solution = milp.solve(min(budget.remaining, seconds))
        budget.count()
        if solution.values is None:
            break
        best = np.clip(solution.values[: region.u.size], program.lower, program.upper)
        chosen = np.flatnonzero(missing & (rows @ solution.values[:size] + offsets < -FACET_TOLERANCE))
        if chosen.size == 0 or budget.is_exhausted():
            break
    return best


def affine_neurons(region: Region, free: Array, lower: Array, upper: Array) -> AffineNeurons:
    """Pull all pre-activations back to the box and the free neurons, by one forward sweep of unit directions."""
    slopes, columns = region.slopes_with_free(free)
    problem, d = region.objective.problem, region.u.size
    cost = columns @ region.objective.partial_gradient(region.v[None, :])[0]
    held_at_zero = np.concatenate([region.u, np.zeros(free.size)])
    offsets = region.preactivations - slopes @ held_at_zero
    least, most = np.concatenate([lower, np.zeros(free.size)]), np.concatenate([upper, np.zeros(free.size)])
    low, high = np.zeros(free.size), np.zeros(free.size)
    for k, neuron in enumerate(free):
        used = np.flatnonzero(slopes[neuron])
        part = slopes[neuron, used]
        low[k] = offsets[neuron] + np.where(part > 0, part * least[used], part * most[used]).sum()
        high[k] = offsets[neuron] + np.where(part > 0, part * most[used], part * least[used]).sum()
        most[d + k] = max(high[k], 0.0)
    scale = np.maximum(np.maximum(np.abs(low), np.abs(high)), np.finfo(float).tiny)
    slopes[:, d:] *= scale
    cost[d:] *= scale
    assert problem.quadratic is None
    return AffineNeurons(slopes, offsets, cost, low, high, scale)


def _held_facets(region: Region, affine: AffineNeurons, free: Array) -> tuple[Array, Array]:
    """Half-spaces ``rows @ (u, h) + offsets >= 0`` of the neurons that keep their states, rows of length one."""
    held = np.setdiff1d(np.arange(region.signs.size), free)
    norms = np.linalg.norm(affine.slopes[held], axis=1)
    held, norms = held[norms > 0], norms[norms > 0]
    factor = region.signs[held] / norms
    return affine.slopes[held] * factor[:, None], affine.offsets[held] * factor


def _free_neurons_milp(
    program: RegionProgram, affine: AffineNeurons, free: Array, options: dict[str, float]
) -> LinearProgram:
    """The big-M model of the free neurons over ``(u, h, q)``, each row divided by its neuron's scale."""
    d, k = program.lower.size, free.size
    z = affine.slopes[free] / affine.scale[:, None]
    offset = affine.offsets[free] / affine.scale
    low, high = np.minimum(affine.lower / affine.scale, 0.0), np.maximum(affine.upper / affine.scale, 0.0)
    h = np.concatenate([np.zeros((k, d)), np.eye(k)], axis=1)
    rows = [
        np.concatenate([h - z, np.zeros((k, k))], axis=1),
        np.concatenate([h - z, -np.diag(low)], axis=1),
        np.concatenate([h, -np.diag(high)], axis=1),
    ]
    infinite = np.full(k, np.inf)
    surrounding = sparse.hstack([program.rows, sparse.csr_array((program.rows.shape[0], 2 * k))])
    return LinearProgram(
        cost=np.concatenate([affine.cost, np.zeros(k)]),
        lower=np.concatenate([program.lower, np.zeros(2 * k)]),
        upper=np.concatenate([program.upper, high, np.ones(k)]),
        rows=sparse.vstack([surrounding, *rows], format="csr"),
        row_lower=np.concatenate([program.problem.row_lower, offset, -infinite, -infinite]),
        row_upper=np.concatenate([program.problem.row_upper, infinite, offset - low, np.zeros(k)]),
        integers=np.concatenate([np.zeros(d + k, bool), np.ones(k, bool)]),
        options=options,
    )
