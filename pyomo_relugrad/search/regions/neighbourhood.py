"""The neighbourhood of a vertex: some neurons free to switch, all others held, as a small MILP.

With the others held, every pre-activation and every column is affine in the decision columns and in the activations of
the free neurons. So the free neurons are a small network of their own, and its big-M model is the MILP.
"""

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.programs import build_big_m
from pyomo_relugrad.run import Budget
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
        None where the MILP found nothing that is not worse than the vertex in the budget. The point may violate a few
        held facets by then; its value is what the network says there.
    """
    neighbourhood = _Neighbourhood(region, free)
    problem = neighbourhood.problem(program, region.u)
    seconds = float(options.get("time_limit", np.inf))
    model = build_big_m(problem, bound_problem(problem, "interval"))
    milp = model.program(relaxed=False, options={k: v for k, v in options.items() if k != "time_limit"})
    rows, offsets = neighbourhood.held_facets(region)
    # Free neurons that cannot be active have no column.
    places = np.concatenate([np.arange(region.u.size), *(layer.activation for layer in model.hidden[0][2])])
    rows, places = rows[:, places >= 0], places[places >= 0]
    chosen = np.argsort(rows[:, : region.u.size] @ region.u + offsets, kind="stable")[:FIRST_FACETS]
    missing, best = np.ones(len(rows), bool), None
    for _ in range(MAX_ROUNDS):
        missing[chosen] = False
        wide = np.zeros((chosen.size, milp.n_columns))
        wide[:, places] = rows[chosen]
        milp.append_rows(wide, -offsets[chosen], np.full(chosen.size, np.inf))
        solution = milp.solve(min(budget.remaining, seconds))
        budget.count()
        if solution.values is None:
            break
        best = np.clip(solution.values[: region.u.size], program.lower, program.upper)
        chosen = np.flatnonzero(missing & (rows @ solution.values[places] + offsets < -FACET_TOLERANCE))
        if chosen.size == 0 or budget.is_exhausted():
            break
    return best


class _Neighbourhood:
    """The free neurons, those that depend on no other first, and everything as affine functions of ``(u, h)``.

    Each activation ``h`` is measured in units that make its neuron's row one long, so that a rescaled network gives the
    same program.

    Parameters
    ----------
    region : Region
    free : (k,) int array
    """

    def __init__(self, region: Region, free: Array) -> None:
        d, free = region.u.size, np.sort(free)
        slopes, columns = region.slopes_with_free(free)
        levels = _levels(slopes[free, d:])
        order = np.argsort(levels, kind="stable")
        places = np.concatenate([np.arange(d), d + order])
        self._free, self._slopes = free[order], slopes[:, places]
        self._offsets = region.preactivations - slopes[:, :d] @ region.u
        self._cost = columns[places] @ region.objective.partial_gradient(region.v[None, :])[0]
        #: Where the decision columns and the free neurons of each level end.
        self._ends = np.concatenate([[0, d], d + np.cumsum(np.bincount(levels))]).astype(int)
        self._layers = [self._layer(begin, end) for begin, end in zip(self._ends[1:], self._ends[2:], strict=False)]

    def _layer(self, begin: int, end: int) -> Layer:
        """One level of free neurons as a layer, its activations put into their units."""
        neurons = self._free[begin - self._ends[1] : end - self._ends[1]]
        norms = np.linalg.norm(self._slopes[neurons], axis=1)
        norms = np.where(norms > 0, norms, 1.0)
        self._slopes[:, begin:end] *= norms
        self._cost[begin:end] *= norms
        return self._affine(self._slopes[neurons, :begin] / norms[:, None], self._offsets[neurons] / norms)

    def _affine(self, slopes: Array, offsets: Array) -> Layer:
        """A layer that is affine in the decision columns and in the free neurons of all levels before it."""
        ends = self._ends[self._ends <= slopes.shape[1]]
        return Layer(tuple(range(ends.size - 1)), tuple(np.split(slopes, ends[1:-1], axis=1)), offsets)

    def problem(self, program: RegionProgram, u: Array) -> Problem:
        """Minimize a network of the free neurons, the objective but for a constant, where it is at most that of `u`."""
        d = self._ends[1]
        network = Network(d, (*self._layers, self._affine(self._cost[None, :], np.zeros(1))))
        rows = program.problem.rows[:, program.columns]
        return Problem(
            cost=np.append(np.zeros(d), 1.0),
            lower=np.append(program.lower, -np.inf),
            upper=np.append(program.upper, self._cost[:d] @ u),
            rows=sparse.hstack([rows, sparse.csr_array((rows.shape[0], 1))]),
            row_lower=program.problem.row_lower,
            row_upper=program.problem.row_upper,
            networks=(EmbeddedNetwork(network, np.arange(d), np.array([d])),),
        )

    def held_facets(self, region: Region) -> tuple[Array, Array]:
        """Half-spaces ``rows @ (u, h) + offsets >= 0`` of the neurons that keep their states, rows of length one."""
        held = np.setdiff1d(np.arange(region.signs.size), self._free)
        norms = np.linalg.norm(self._slopes[held], axis=1)
        held, norms = held[norms > 0], norms[norms > 0]
        factor = region.signs[held] / norms
        return self._slopes[held] * factor[:, None], self._offsets[held] * factor


def _levels(slopes: Array) -> Array:
    """How many free neurons come one after another before each, from slopes (k, k) in their activations."""
    levels = np.zeros(len(slopes), int)
    for neuron, row in enumerate(slopes):
        levels[neuron] = 1 + levels[np.flatnonzero(row)].max(initial=-1)
    return levels
