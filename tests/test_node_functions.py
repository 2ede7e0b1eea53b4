"""Linear functions over the boxes of nodes: below the objective and around the outputs at every point of a box."""

from dataclasses import replace

import numpy as np
import pytest
from random_models import random_network, random_problem
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.proof.boxes.crown_bounder import CrownBounder
from pyomo_relugrad.proof.boxes.node_program import NodeProgram, ProgramSolutions
from pyomo_relugrad.proof.boxes.objective import ObjectiveBound
from pyomo_relugrad.proof.boxes.outputs import OutputBounds
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, n_states

FAMILIES = pytest.mark.parametrize("family", ["window", "equality", "chained", "shared"])


def boxes_and_points(family, nodes=3, count=200):
    """A problem whose objective has a constant, boxes of its inputs, and points (nodes, count, n) of these boxes."""
    rng, problem = np.random.default_rng(5), replace(random_problem(family, 3), constant=7.5)
    inner = np.isfinite(problem.lower) & np.isfinite(problem.upper) & ~problem.is_output
    ends = np.sort(rng.uniform(size=(2, nodes, problem.n_columns)), axis=0)
    lower, upper = np.tile(problem.lower, (nodes, 1)), np.tile(problem.upper, (nodes, 1))
    width = (problem.upper - problem.lower)[inner]
    lower[:, inner], upper[:, inner] = (problem.lower[inner] + side[:, inner] * width for side in ends)
    sides = np.where(np.isfinite(lower), lower, -1.0), np.where(np.isfinite(upper), upper, 1.0)
    points = rng.uniform(sides[0][:, None], sides[1][:, None], size=(nodes, count, problem.n_columns))
    points[:, :20] = np.where(points[:, :20] > points[:, 20:40], sides[0][:, None], sides[1][:, None])
    return problem, lower, upper, np.array([problem.propagate(part) for part in points])


def relaxed(problem, lower, upper):
    return Relaxations(problem, lower, upper, np.zeros((len(lower), n_states(problem)), np.int8))


def least_excess(block, points, n_columns):
    """By how much the points are above the rows' lower sides, and below the upper ones, at least."""
    (indptr, indices, data), lower, upper = block
    dense = np.zeros((lower.size, n_columns))
    np.add.at(dense, (np.repeat(np.arange(lower.size), np.diff(indptr)), indices), data)
    values = points @ dense.T
    return min((values - lower).min(), (upper - values).min())


@FAMILIES
def test_functions_are_below_the_objective_and_so_are_their_rows(family):
    problem, lower, upper, points = boxes_and_points(family)
    nodes = len(lower)
    costs, constants = np.tile(problem.cost, (nodes, 1)), np.full(nodes, problem.constant)
    start = np.full((nodes, n_states(problem)), np.nan)
    functions = ObjectiveBound(problem)(relaxed(problem, lower, upper), costs, constants, start)
    decisions, cutoff = ~problem.is_output, float(np.median([problem.objective(part) for part in points]))
    left = functions.cut(lower, upper, cutoff)
    for node, part in enumerate(points):
        objective = problem.objective(part)
        below = part @ functions.coefficients[node] + functions.constants[node]
        assert (below <= objective + 1e-9).all()
        assert functions.minima[node] <= below.min() + 1e-9
        row = functions.row(node, costs[node], constants[node])
        assert least_excess(row, part, problem.n_columns) >= -1e-9
        better = part[objective < cutoff][:, decisions]
        assert (better >= left[0][node, decisions] - 1e-9).all()
        assert (better <= left[1][node, decisions] + 1e-9).all()


@FAMILIES
def test_rows_and_ranges_of_outputs_hold_at_every_point_of_a_box(family):
    problem, lower, upper, points = boxes_and_points(family)
    outputs, relaxations = OutputBounds(problem), relaxed(problem, lower, upper)
    functions = outputs.functions(relaxations)
    low, high, possible = outputs.tighten(relaxations, functions, lower, upper)
    for node, part in enumerate(points):
        assert least_excess(outputs.rows(functions, node), part, problem.n_columns) >= -1e-9
        allowed = ((part >= lower[node]) & (part <= upper[node]))[:, problem.is_output].all(axis=1)
        assert possible[node] or not allowed.any()
        assert (part[allowed] >= low[node] - 1e-9).all()
        assert (part[allowed] <= high[node] + 1e-9).all()


@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_boxes_are_below_a_quadratic_objective(seed):
    rng = np.random.default_rng(seed)
    network, n = random_network(rng, (3, 6, 4, 2)), 5
    root = rng.normal(size=(n, n))
    problem = Problem(
        rng.normal(size=n),
        np.array([-1.0, 0.5, -2.0, -np.inf, -np.inf]),
        np.array([1.0, 2.0, -0.5, np.inf, np.inf]),
        networks=(EmbeddedNetwork(network, [0, 1, 2], [3, 4]),),
        quadratic=sparse.csr_array(root @ root.T),
        constant=2.0,
    )
    ends = np.linspace(0.0, 1.0, 4)
    inputs, width = slice(0, 3), (problem.upper - problem.lower)[:3]
    lower, upper = np.tile(problem.lower, (3, 1)), np.tile(problem.upper, (3, 1))
    lower[:, inputs], upper[:, inputs] = (problem.lower[:3] + side[:, None] * width for side in (ends[:-1], ends[1:]))
    bounder = CrownBounder(problem)
    whole = bounder.root()
    nodes = replace(whole.take(np.zeros(3, int)), lower=lower, upper=upper)
    bounded = bounder(nodes, np.inf).nodes
    for node in range(3):
        points = np.zeros((300, n))
        points[:, inputs] = rng.uniform(lower[node, inputs], upper[node, inputs], size=(300, 3))
        points[:150, inputs] = np.where(rng.random((150, 3)) < 0.5, lower[node, inputs], upper[node, inputs])
        least = problem.objective(problem.propagate(points)).min()
        assert bounder.lower_bound() <= bounded.bound[node] <= least


def test_what_programs_cut_off_a_box_leaves_its_ends():
    """No more than rounding: x + y >= 1.5 leaves x at 0.5, and a reduced cost of one leaves what the cutoff is."""
    network = random_network(np.random.default_rng(0), (2, 3, 1))
    problem = Problem(
        np.array([0.0, 0.0, 1.0]),
        np.array([-1.0, -1.0, -np.inf]),
        np.array([1.0, 1.0, np.inf]),
        sparse.csr_array(np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])),
        np.array([1.5, -np.inf]),
        np.array([np.inf, 0.25]),
        networks=(EmbeddedNetwork(network, [0, 1], [2]),),
    )
    lower, upper = problem.lower.copy(), problem.upper.copy()
    assert NodeProgram(problem).tighten(lower, upper)
    ends = np.array([[0.5, 0.625], [1.0, 1.0]])
    assert np.array([lower[:2], upper[:2]]) == pytest.approx(ends, abs=1e-5)
    assert (lower[:2] <= ends[0]).all()
    nothing = np.zeros((1, 3))
    reduced = np.array([[1.0, -2.0, 0.0]])
    solutions = ProgramSolutions(np.ones(1, bool), np.zeros(1), nothing, reduced, nothing, np.zeros(1))
    cut = solutions.cut(np.zeros((1, 3)), np.full((1, 3), 4.0), cutoff=1.0)
    assert cut[0][0] == pytest.approx([0.0, 3.5, 0.0], abs=1e-5)
    assert cut[1][0] == pytest.approx([1.0, 4.0, 4.0], abs=1e-5)
    assert cut[1][0, 0] >= 1.0
    assert cut[0][0, 1] <= 3.5
