"""Problem and Incumbent: evaluation against plain loops, structure, and refusals."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import FAMILIES, random_network, random_problem
from scipy import sparse

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, ReducedObjective, Shape

INF = np.inf


def chained_problem(seed: int) -> Problem:
    """Two networks in a row, one of them twice at the same depth, with repeated inputs and a quadratic part."""
    rng = np.random.default_rng(seed)
    first, second = random_network(rng, (3, 6, 2)), random_network(rng, (2, 5, 1))
    factor = rng.normal(size=(9, 9))
    return Problem(
        cost=rng.normal(size=9),
        lower=np.full(9, -INF),
        upper=np.full(9, INF),
        quadratic=sparse.csr_array(factor @ factor.T),
        networks=(
            EmbeddedNetwork(second, [4, 3], [5], "last"),
            EmbeddedNetwork(first, [0, 1, 0], [3, 4], "first"),
            EmbeddedNetwork(second, [2, 2], [7], "twin"),
            EmbeddedNetwork(second, [1, 6], [8], "other twin"),
        ),
    )


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_propagate_fills_outputs_in_the_order_of_the_chain(seed):
    problem = chained_problem(seed)
    V = problem.propagate(np.random.default_rng(seed).normal(size=(3, 9)))
    for v in V:
        for embedded in problem.networks:
            expected = embedded.network.value(v[None, embedded.inputs])[0]
            np.testing.assert_allclose(v[embedded.outputs], expected, atol=1e-12)
    np.testing.assert_allclose(problem.network_error(V), 0.0, atol=1e-12)
    V[1, 5] += 0.5
    np.testing.assert_allclose(problem.network_error(V), [0.0, 0.5, 0.0], atol=1e-12)
    point = problem.incumbent(V[1])
    assert (point.network_error, problem.measure(V[1]).network_error) == pytest.approx((0.0, 0.5))
    assert problem.network_error(point.values[None])[0] <= 1e-12


def test_equal_networks_of_one_depth_are_one_batch():
    stages = chained_problem(0).stages
    assert [stage.inputs.shape for stage in stages] == [(1, 3), (2, 2), (1, 2)] or [
        stage.inputs.shape for stage in stages
    ] == [(2, 2), (1, 3), (1, 2)]


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_pulled_back_gradients_agree_with_finite_differences(seed):
    problem = chained_problem(seed)
    V = problem.propagate(np.random.default_rng(seed).normal(size=(2, 9)))
    gradient = problem.pull_back(V, problem.objective_gradient(V))
    for column in range(9):
        shift = np.zeros(9)
        shift[column] = 1e-6
        above, below = problem.propagate(V + shift), problem.propagate(V - shift)
        numeric = (problem.objective(above) - problem.objective(below)) / 2e-6
        bent = np.abs(problem.objective(above) + problem.objective(below) - 2 * problem.objective(V)) > 1e-8
        np.testing.assert_allclose(gradient[~bent, column], numeric[~bent], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(gradient[:, problem.is_output], 0.0)


def test_violation_counts_rows_bounds_and_integrality():
    problem = Problem(
        cost=np.zeros(2),
        lower=np.array([0.0, 0.0]),
        upper=np.array([1.0, 5.0]),
        rows=sparse.csr_array([[1.0, 1.0]]),
        row_lower=np.array([1.0]),
        row_upper=np.array([4.0]),
        integers=np.array([False, True]),
    )
    V = np.array([[0.5, 2.0], [0.5, 0.0], [0.5, 4.0], [1.2, 2.0], [0.5, 2.25], [-0.1, 3.0]])
    np.testing.assert_allclose(problem.violation(V), [0.0, 0.5, 0.5, 0.2, 0.25, 0.1])


def test_incumbents_are_rounded_clipped_propagated_and_measured():
    rng = np.random.default_rng(0)
    network = random_network(rng, (2, 4, 1))
    problem = Problem(
        cost=np.array([0.0, 0.0, 1.0]),
        lower=np.array([0.0, -1.0, -INF]),
        upper=np.array([3.0, 1.0, INF]),
        integers=np.array([True, False, False]),
        networks=(EmbeddedNetwork(network, [0, 1], [2]),),
        constant=2.0,
    )
    point = problem.incumbent(np.array([1.6, 7.0, np.pi]))
    np.testing.assert_array_equal(point.values[:2], [2.0, 1.0])
    assert point.objective == pytest.approx(2.0 + float(network.value([[2.0, 1.0]])[0, 0]))
    assert point.is_feasible
    assert (point.violation, point.network_error) == (0.0, 0.0)


def test_a_problem_that_maximizes_reports_in_the_sense_of_the_model():
    problem = Problem(np.array([-1.0]), np.zeros(1), np.ones(1), maximize=True)
    assert problem.reported(problem.incumbent(np.ones(1)).objective) == 1.0


@pytest.mark.parametrize("family", FAMILIES)
def test_random_families_are_general(family):
    assert random_problem(family, 0).shape is Shape.GENERAL


def test_problems_that_differ_in_bounds_share_what_does_not_depend_on_them():
    problem = chained_problem(0)
    within = problem.with_bounds(np.full(9, -1.0), np.full(9, 2.0))
    objectives = ReducedObjective(within), ReducedObjective(problem)
    assert within.stages is problem.stages
    assert objectives[0].stages is objectives[1].stages
    assert [objective.problem for objective in objectives] == [within, problem]
    fresh = dataclasses.replace(within)
    V = np.random.default_rng(0).normal(size=(3, 9))
    np.testing.assert_array_equal(within.violation(V), fresh.violation(V))
    np.testing.assert_array_equal(within.propagate(V), fresh.propagate(V))
    assert within.violation(V).max() > problem.violation(V).max()


def test_shapes():
    network = random_network(np.random.default_rng(0), (2, 4, 1))
    embedded = (EmbeddedNetwork(network, [0, 1], [2]),)
    cost, free = np.zeros(3), np.full(3, INF)

    def shape(row=None, upper=free, integers=None):
        rows = None if row is None else sparse.csr_array([row])
        sides = None if row is None else np.array([1.0])
        return Problem(cost, -free, upper, rows, None, sides, integers, embedded).shape

    assert shape() is Shape.BOX
    assert shape(row=[1.0, 1.0, 0.0]) is Shape.POLYTOPE
    assert shape(row=[1.0, 1.0, 1.0]) is Shape.GENERAL
    assert shape(upper=np.array([INF, INF, 3.0])) is Shape.GENERAL
    assert shape(integers=np.array([True, False, False])) is Shape.GENERAL


def _two(outputs_of_second, inputs_of_second):
    network = random_network(np.random.default_rng(0), (1, 3, 1))
    return (
        EmbeddedNetwork(network, [0], [1], "one"),
        EmbeddedNetwork(network, inputs_of_second, outputs_of_second, "two"),
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n: Problem(n, n[:1], n), "lower has shape"),
        (lambda n: Problem(n, n, n, sparse.csr_array((1, 5))), "rows have 5 columns: give one for each of the 2"),
        (lambda n: Problem(n, n, n, quadratic=sparse.csr_array((3, 3))), "quadratic part has shape"),
        (lambda n: Problem(n * np.nan, n, n), "finite"),
        (lambda n: _two([1], [0, 1]), "network 'two' has 1 inputs, got 2 columns"),
    ],
)
def test_wrong_problems_are_refused(build, message):
    with pytest.raises(ModelError, match=message):
        build(np.zeros(2))


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (_two([1], [0]), "networks 'one' and 'two' write the same column: presolve"),
        (_two([0], [1]), "networks feed each other in a circle: one, two; presolve"),
        (
            (EmbeddedNetwork(random_network(np.random.default_rng(0), (1, 3, 2)), [0], [1, 1], "net"),),
            "networks 'net' and 'net' write the same column",
        ),
    ],
)
def test_points_can_be_measured_where_networks_have_no_order(networks, message):
    problem = Problem(np.ones(3), np.zeros(3), np.ones(3), networks=networks)
    with pytest.raises(ModelError, match=message):
        problem.incumbent(np.zeros(3))
    v = np.random.default_rng(0).random(3)
    errors = [embedded.network.value(v[None, embedded.inputs])[0] - v[embedded.outputs] for embedded in networks]
    assert problem.measure(v).network_error == pytest.approx(np.abs(np.concatenate(errors)).max())


def test_rows_are_sorted_in_a_copy():
    """Where processes share them, SciPy cannot sort them in place."""
    rows = sparse.csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3])), shape=(1, 2))
    problem = Problem(np.zeros(2), np.zeros(2), np.ones(2), rows, np.zeros(1), np.ones(1))
    for part in (problem.rows.data, problem.rows.indices):
        part.setflags(write=False)
    assert not problem.rows_touch_output.any()
    assert abs(problem.rows).toarray().tolist() == [[2.0, 4.0]]
    assert rows.indices.tolist() == [1, 0, 1]


def test_what_depends_on_functions_alone_is_shared_as_long_as_they_are_the_same():
    problem = chained_problem(0)
    other = dataclasses.replace(problem, cost=problem.cost + 1, constant=2.0)
    assert other.stages is problem.stages
    assert other.is_output is problem.is_output
    first, *others = problem.networks
    fewer = dataclasses.replace(problem, networks=tuple(others))
    assert not fewer.is_output[first.outputs].any()
    assert problem.is_output[first.outputs].all()
    numbers = {"cost": np.ones(10), "lower": np.zeros(10), "upper": np.ones(10)}
    none = dict.fromkeys(("quadratic", "rows", "row_lower", "row_upper", "integers"))
    assert dataclasses.replace(fewer, **numbers, **none).is_output.size == 10


def test_bounds_over_the_last_boxes_are_those_of_the_boxes_as_they_are():
    (stage,) = (each for each in chained_problem(0).stages if len(each.inputs) == 2)
    lower, upper = np.zeros((2, 2)), np.ones((2, 2))
    least, most = stage.range(lower, upper)
    expected = least.copy()
    least[:] = np.nan
    np.testing.assert_array_equal(stage.range(lower, upper)[0], expected)
    upper[:] = 0.0
    assert (stage.range(lower, upper)[1] < most).all()
