"""`DataHull`: membership against an oracle, the reduction of the data, clusters, Pyomo's habits, refusals."""

import pickle

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.data_hull.extreme_points import QHULL_DIMENSION, extreme_points

RNG = np.random.default_rng(5)
SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [1.0, 1.0]])


def distance(points: np.ndarray, target: np.ndarray) -> float:
    """The oracle: distance of the target from the hull of all points, in the largest coordinate; by SciPy."""
    n, d = points.shape
    ones = np.ones((d, 1))
    result = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.block([[points.T, -ones], [-points.T, -ones]]),
        b_ub=np.concatenate([target, -target]),
        A_eq=np.append(np.ones(n), 0.0)[None, :],
        b_eq=[1.0],
        bounds=[(0, None)] * (n + 1),
    )
    assert result.status == 0
    return result.fun


def model(data, inputs=None, **options) -> pyo.ConcreteModel:
    """Variables in a data hull, and a linear objective that is set later."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(np.shape(data)[1]))
    m.hull = relugrad.DataHull(inputs=m.x if inputs is None else inputs, data=data, **options)
    return m


def admits(m: pyo.ConcreteModel, point) -> bool:
    """Whether HiGHS finds the model feasible with the variables fixed."""
    for variable, value in zip(m.x.values(), point, strict=True):
        variable.fix(float(value))
    m.del_component("objective")
    m.objective = pyo.Objective(expr=0)
    results = pyo.SolverFactory("appsi_highs").solve(m, load_solutions=False)
    return results.solver.termination_condition == pyo.TerminationCondition.optimal


def extreme(m: pyo.ConcreteModel, direction, solver="appsi_highs", **options) -> np.ndarray:
    """The point of the model farthest in a direction."""
    m.del_component("objective")
    m.objective = pyo.Objective(
        expr=sum(float(c) * v for c, v in zip(direction, m.x.values(), strict=True)), sense=pyo.maximize
    )
    pyo.SolverFactory(solver).solve(m, **options)
    return np.array([variable.value for variable in m.x.values()])


clouds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


# --- the region --------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(clouds, st.integers(1, 4), st.integers(1, 30))
def test_the_block_admits_what_lies_in_the_hull_of_all_data(random, dimension, count):
    data = random.standard_normal((count, dimension)) * 10.0 ** random.uniform(-3, 3, dimension)
    target = random.dirichlet(np.ones(count)) @ data + random.choice([0.0, 0.3]) * data.std(axis=0)
    ranges = np.ptp(data, axis=0) if count > 1 else 1.0
    away = distance(data / ranges, target / ranges)
    assume(away < 1e-10 or away > 1e-5)
    assert admits(model(data), target) == (away < 1e-10)


@settings(max_examples=25, deadline=None)
@given(clouds, st.integers(1, 6), st.integers(1, 60))
def test_the_reduced_hull_reaches_as_far_as_the_data_in_every_direction(random, dimension, count):
    corners = random.standard_normal((5, dimension))
    data = random.dirichlet(np.full(5, 0.3), count) @ corners  # many points inside, some flat clouds
    kept = data[extreme_points(data).rows]
    directions = random.standard_normal((50, dimension))
    np.testing.assert_allclose((kept @ directions.T).max(axis=0), (data @ directions.T).max(axis=0), atol=1e-6)


@pytest.mark.parametrize(("dimension", "count"), [(2, 400), (4, 400), (QHULL_DIMENSION + 1, 120), (8, 60)])
def test_linear_programs_find_the_same_vertices_as_qhull(dimension, count):
    data = RNG.random((count, dimension))
    data = np.concatenate([data, data[:50]])  # duplicates
    expected = np.sort(ConvexHull(data[:count]).vertices)
    found = extreme_points(data)
    assert found.rows.tolist() == expected.tolist()
    assert found.is_exact


def test_in_seven_dimensions_the_vertices_are_those_that_no_others_combine_to():
    data = RNG.dirichlet(np.full(12, 0.4), 150) @ RNG.standard_normal((12, 7))
    kept = set(extreme_points(data).rows.tolist())
    for row in range(len(data)):
        assert (distance(np.delete(data, row, axis=0), data[row]) > 1e-8) == (row in kept)


def test_a_grid_has_only_its_corners():
    axis = np.linspace(0, 1, 3)
    grid = np.stack(np.meshgrid(*[axis] * 6), axis=-1).reshape(-1, 6)
    corners = np.flatnonzero(((grid == 0) | (grid == 1)).all(axis=1))
    assert extreme_points(grid).rows.tolist() == corners.tolist()


def test_a_cloud_that_is_flat_but_for_rounding_is_reduced_within_its_plane():
    fractions = RNG.dirichlet(np.ones(4), 3000).astype(np.float32).astype(np.float64)  # sums are 1 up to 1e-7
    assert len(extreme_points(fractions).rows) < 100  # 172 where rounding counts as a dimension
    m = model(fractions)
    m.unity = pyo.Constraint(expr=pyo.quicksum(m.x.values()) == 1)
    assert extreme(m, [1, 0, 0, 0])[0] == pytest.approx(fractions[:, 0].max(), abs=1e-5)


def test_too_many_vertices_are_replaced_by_a_hull_inside():
    data = RNG.standard_normal((2000, 10))
    reduced = extreme_points(data, limit=120)
    assert len(reduced.rows) == 120
    assert not reduced.is_exact
    m = model(data, max_points=120)
    assert not m.hull.hulls.is_exact
    assert len(m.hull.weights) == 120
    point = extreme(m, np.ones(10))
    assert distance(data, point) < 1e-6
    # Well-chosen points reach nearly as far as all: 0.96 on average, the first 120 vertices 0.81.
    directions = RNG.standard_normal((200, 10))
    reach = (data[reduced.rows] @ directions.T).max(axis=0) / (data @ directions.T).max(axis=0)
    assert reach.mean() > 0.92
    assert reach.min() > 0.55
    assert relugrad.DataHull(inputs=list(m.x.values()), data=data[:300], max_points=None, concrete=True).hulls.is_exact


def test_the_margin_is_a_share_of_each_columns_range():
    data = SQUARE * [1.0, 1000.0]
    m = model(data, margin=0.1)
    np.testing.assert_allclose(extreme(m, [1, 1]), [2.2, 2200])
    np.testing.assert_allclose(extreme(m, [-1, -1]), [-0.2, -200], atol=1e-6)


@pytest.mark.parametrize("solver", ["appsi_highs", "highs", "relugrad", "relugrad.omlt"])
def test_a_network_is_kept_in_the_hull_by_every_solver(solver):
    network = relugrad.Network.from_layers([[[1.0, 1.0], [1.0, -1.0]], [[2.0, -1.0]]], [[-0.5, 0.0], [0.0]])
    data = RNG.uniform(0, 1, (200, 1)) + RNG.normal(0, 0.02, (200, 2))
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(-1, 2))
    m.nn = relugrad.ReluNetworkBlock(network=network, inputs=m.x)
    m.hull = relugrad.DataHull(inputs=m.nn.inputs, data=data)
    m.o = pyo.Objective(expr=m.nn.outputs[0] - m.x[0], sense=pyo.minimize)
    if solver == "relugrad":
        pyo.SolverFactory("relugrad").solve(m, iteration_limit=400)
    else:
        pyo.TransformationFactory("relugrad.omlt").apply_to(m)
        pyo.SolverFactory("highs" if solver == "relugrad.omlt" else solver).solve(m)
    point = np.array([m.x[0].value, m.x[1].value])
    assert distance(data, point) < 1e-6
    # Piecewise linear, but concave and convex parts: the best of a dense sample of the hull is no better.
    sample = RNG.dirichlet(np.full(len(m.hull.weights), 0.05), 20_000) @ data[list(m.hull.weights)]
    assert pyo.value(m.o) <= (network.value(sample)[:, 0] - sample[:, 0]).min() + 1e-6


# --- clusters ----------------------------------------------------------------------------------------------------

TWO = np.concatenate([SQUARE, SQUARE + np.array([10.0, 0.0])])
LABELS = np.repeat([3, 7], 5)


@pytest.mark.parametrize(
    ("point", "inside"), [((1, 0.5), True), ((11, 1.5), True), ((6, 1), False), ((2.1, 1), False), ((9.9, 1), False)]
)
def test_between_clusters_there_is_nothing(point, inside):
    m = model(TWO, clusters=LABELS)
    assert list(m.hull.active_cluster) == [3, 7]
    assert admits(m, point) == inside
    assert admits(model(TWO), point) == (0 <= point[0] <= 12)


@pytest.mark.parametrize("solver", ["appsi_highs", "relugrad"])
def test_solvers_find_the_better_cluster(solver):
    options = {"iteration_limit": 400} if solver == "relugrad" else {}
    for direction, expected in (([1, 0.1], [12, 2]), ([-1, 0.1], [0, 2])):
        m = model(TWO, clusters=LABELS)
        np.testing.assert_allclose(extreme(m, direction, solver, **options), expected, atol=1e-6)
        assert m.hull.active_cluster[7 if direction[0] > 0 else 3].value == pytest.approx(1)


def test_a_number_of_clusters_is_found_by_k_means():
    data = np.concatenate([RNG.random((300, 2)), RNG.random((300, 2)) + np.array([5, 0])]) * [1, 1000]
    m = model(data, clusters=2)
    labels = dict(zip(m.hull.hulls.rows.tolist(), m.hull.hulls.clusters.tolist(), strict=True))
    assert len({label for row, label in labels.items() if row < 300}) == 1
    assert len(set(labels.values())) == 2
    assert m.hull.hulls.rows.tolist() == model(data, clusters=2).hull.hulls.rows.tolist()
    assert model(data, clusters=1).hull.component("active_cluster") is None


def test_noise_is_left_out_and_labels_may_be_words():
    noisy = np.concatenate([TWO, [[50.0, 50.0]]])
    m = model(noisy, clusters=[*LABELS, -1])
    assert 10 not in m.hull.weights
    named = model(TWO, clusters=["winter"] * 5 + ["summer"] * 5)
    assert list(named.hull.active_cluster) == ["summer", "winter"]
    assert not admits(named, (6, 1))


# --- in Pyomo ----------------------------------------------------------------------------------------------------


def test_weights_are_those_of_rows_of_the_data():
    m = model(SQUARE)
    assert list(m.hull.weights) == [0, 1, 2, 3]
    np.testing.assert_array_equal(m.hull.hulls.points, SQUARE[:4])
    assert m.hull.ctype is pyo.Block
    extreme(m, [1, 2])
    assert m.hull.weights[2].value == pytest.approx(1)


@pytest.mark.parametrize(
    "given",
    [
        lambda m: m.x,
        lambda m: m.x[:],
        lambda m: [m.x["b"] - m.x["b"] + m.x["a"], m.x["b"]],
        lambda m: {1: m.x["b"], 0: m.x["a"]},
        lambda m: np.array([m.x["a"], m.x["b"]], dtype=object),
    ],
)
def test_inputs_come_in_many_forms(given):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["a", "b"])
    m.hull = relugrad.DataHull(inputs=given(m), data=SQUARE.tolist())
    assert admits(m, (2, 1.5))
    assert not admits(m, (2.1, 1.5))


def test_one_input_is_a_variable_and_a_constant_column_a_point():
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0])
    m.hull = relugrad.DataHull(inputs=m.x[0], data=[[3.0], [1.0], [2.0]])
    assert list(m.hull.weights) == [0, 1]
    assert admits(m, [2.5])
    constant = model([[3.0, 7.0], [1.0, 7.0]])
    np.testing.assert_allclose(extreme(constant, [1, 1]), [3, 7])
    assert not admits(constant, [2, 7.1])


def test_indexed_blocks_share_one_reduction():
    m = pyo.ConcreteModel()
    m.k = pyo.Set(initialize=["p", "q"])
    m.x = pyo.Var(m.k, range(2))
    m.hull = relugrad.DataHull(m.k, inputs=lambda m, k: m.x[k, :], data=SQUARE)
    assert m.hull["p"].hulls is m.hull["q"].hulls
    m.by_mapping = relugrad.DataHull(m.k, inputs={k: m.x[k, :] for k in m.k}, data=SQUARE)
    m.by_rule = relugrad.DataHull(m.k, rule=lambda b, k: b.build(b.model().x[k, :], SQUARE, margin=0.5))
    assert [str(c.body) for c in m.hull["q"].combination.values()] == [
        str(c.body).replace("by_mapping", "hull") for c in m.by_mapping["q"].combination.values()
    ]
    assert m.by_rule["p"].combination[0].upper - m.by_rule["p"].combination[0].lower == pytest.approx(1.0)


def test_abstract_models_clones_and_pickles():
    abstract = pyo.AbstractModel()
    abstract.x = pyo.Var(range(2))
    abstract.hull = relugrad.DataHull(inputs=lambda m: m.x, data=TWO, clusters=LABELS)
    m = abstract.create_instance()
    for twin in (m, m.clone(), pickle.loads(pickle.dumps(m))):
        assert twin.hull.parent_block() is twin
        np.testing.assert_allclose(extreme(twin, [1, 0.1]), [12, 2])
        assert twin.hull.hulls.rows.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert m.clone().hull.combination[0].body is not m.hull.combination[0].body


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (SQUARE[:, :1], {}, "data hull 'hull': the data have 1 columns, but 2 inputs were given"),
        (np.ones((4, 3)), {}, "data hull 'hull': the data have 3 columns, but 2 inputs were given"),
        (np.ones(4), {}, r"data hull 'hull': the data have shape \(4,\)"),
        (np.ones((0, 2)), {}, r"data hull 'hull': the data have shape \(0, 2\)"),
        ([[1, 2], [3, np.nan]], {}, "data hull 'hull': the data have nan in row 1, column 1: drop or fill such rows"),
        ([[1, 2], [np.inf, 0]], {}, "data hull 'hull': the data have inf in row 1, column 0"),
        ([["a", "b"]], {}, r"data hull 'hull': data\[0, 0\] is 'a'"),
        (SQUARE, {"margin": -1}, "data hull 'hull': the margin is -1"),
        (SQUARE, {"clusters": [0, 1]}, r"the cluster labels have shape \(2,\)"),
        (SQUARE, {"clusters": [-1] * 5}, r"the cluster labels say that all rows are noise \(-1\)"),
        (SQUARE, {"clusters": 6}, "clusters is 6"),
        (SQUARE, {"clusters": 1.5}, r"clusters is 1\.5"),
        (SQUARE, {"max_points": 0}, "max_points is 0"),
    ],
)
def test_what_does_not_fit_is_refused(data, options, message):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2))
    with pytest.raises(ModelError, match=message):
        m.hull = relugrad.DataHull(inputs=m.x, data=data, **options)


def test_arguments_must_come_together():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2))
    with pytest.raises(ModelError, match="DataHull has no data"):
        relugrad.DataHull(inputs=m.x)
    with pytest.raises(ModelError, match="DataHull has no inputs"):
        relugrad.DataHull(data=SQUARE)
    with pytest.raises(ModelError, match="DataHull takes inputs and data or rule, not both"):
        relugrad.DataHull(inputs=m.x, data=SQUARE, rule=lambda b: None)
    m.hull = relugrad.DataHull()
    with pytest.raises(ModelError, match="data hull 'hull' is not built yet"):
        m.hull.hulls  # noqa: B018 - the property raises
    m.hull.build(m.x, SQUARE)
    with pytest.raises(ModelError, match="data hull 'hull' is built already"):
        m.hull.build(m.x, SQUARE)
    with pytest.raises(ModelError, match=r"data hull 'many\[2\]': inputs has no entry for the block's index 2"):
        m.many = relugrad.DataHull([1, 2], inputs={1: m.x}, data=SQUARE)
