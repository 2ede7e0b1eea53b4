"""The pictures show what is there: histories, linear regions, ranges; and histories are those of the search."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyomo.contrib.solver.common.factory import SolverFactory as NewSolverFactory
from random_models import random_network

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import MissingPackageError, ModelError, NetworkValueError
from pyomo_relugrad.network import crown_bounds
from pyomo_relugrad.network.building import substitute_inputs
from pyomo_relugrad.plotting import plot_progress, plot_ranges, plot_slice
from pyomo_relugrad.plotting.plane import box_on_plane, plane_network, regions_on_plane
from pyomo_relugrad.plotting.trajectory import trajectory
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Record

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.path import Path as Outline  # noqa: E402

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    pyplot.close("all")


def network(seed=0, sizes=(3, 10, 8, 1)):
    return random_network(np.random.default_rng(seed), sizes)


def model(sense=pyo.maximize):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    m.nn = relugrad.ReluNetworkBlock(network=network(), inputs=m.x)
    m.goal = pyo.Objective(expr=m.nn.outputs[0] + 5, sense=sense)
    return m


# --- histories ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sense", [pyo.minimize, pyo.maximize])
@pytest.mark.parametrize("factory", [pyo.SolverFactory, NewSolverFactory])
def test_results_of_a_proof_have_both_histories_in_the_sense_of_the_model(factory, sense):
    m = model(sense)
    results = factory("relugrad.exact").solve(m, time_limit=60)
    run = trajectory(results)
    worst_first = 1 if sense == pyo.maximize else -1
    assert (np.diff(run.values[:, 1]) * worst_first > 0).all()
    assert (np.diff(run.bounds[:, 1]) * worst_first <= 0).all()
    assert run.value == pytest.approx(pyo.value(m.goal), abs=1e-9)
    assert ((run.bounds[:, 1] - run.value) * worst_first >= 0).all()
    assert run.gap < 1.1e-4
    assert (np.diff(run.values[:, 0]) >= 0).all()
    assert (np.diff(run.bounds[:, 0]) >= 0).all()
    assert max(run.values[-1, 0], run.bounds[-1, 0]) <= run.end


@pytest.mark.parametrize("optimize", [relugrad.maximize, relugrad.minimize])
def test_an_optimum_tells_its_histories_in_its_own_sense(optimize):
    best = optimize(network(), lower=-1, upper=1, iteration_limit=2000, time_limit=np.inf)
    assert best.history[-1][1] == best.value
    assert best.bound_history[-1][1] == best.bound
    assert (best.bound >= best.value) == (optimize is relugrad.maximize)
    run = trajectory(best)
    assert (run.value, run.bound) == (best.value, best.bound)
    signed = trajectory(best.result)
    assert signed.value == (-best.value if optimize is relugrad.maximize else best.value)


def test_a_bound_is_booked_when_it_is_better_and_told_no_further_than_the_incumbent():
    record = Record()
    for moment, bound in enumerate((-np.inf, 1.0, 1.0, 0.5, 1.0 + 1e-12, 3.0)):
        record.add_bound(bound, float(moment))
    assert record.limited_bound_history() == ((1.0, 1.0), (5.0, 3.0))
    record.add(Problem(np.ones(1), np.zeros(1), np.full(1, 9.0)).incumbent(np.array([2.5])), 6.0)
    assert record.limited_bound_history() == ((1.0, 1.0), (5.0, 2.5))


def test_pairs_are_a_history():
    run = trajectory([(0.1, 3.0), (2.0, 5.0)])
    assert (run.value, run.end) == (5.0, 2.0)
    assert np.isnan(run.bound)


def test_what_has_no_history_is_refused():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 1))
    m.goal = pyo.Objective(expr=m.x)
    results = pyo.SolverFactory("appsi_highs").solve(m)
    with pytest.raises(
        ModelError, match="a SolverResults has no history of incumbents: give the results of 'relugrad'"
    ):
        plot_progress(results)
    with pytest.raises(ModelError, match="a float has no history"):
        plot_progress({"mine": 3.0})


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_progress_draws_steps_until_the_end_and_names_value_bound_and_gap():
    best = relugrad.maximize(network(), lower=-1, upper=1, iteration_limit=2000)
    ax = plot_progress(best)
    drawn = lines(ax)
    value = drawn[f"best value {best.value:.6g}"]
    assert value.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(value.get_ydata()[:-1], [objective for _, objective in best.history])
    assert value.get_ydata()[-1] == best.value
    assert value.get_xdata()[-1] == best.result.elapsed
    (bound,) = [line for label, line in drawn.items() if label.startswith("bound")]
    assert f"bound {best.bound:.6g}, gap " in bound.get_label()
    assert bound.get_ydata()[-1] == best.bound
    low, high = ax.get_ylim()
    assert low < min(value.get_ydata()) <= best.bound < high


def test_values_close_to_each_other_are_written_in_full():
    ax = plot_progress([(0.1, 10.5641), (0.2, 10.5642)])
    ax.figure.canvas.draw()
    assert ax.yaxis.get_offset_text().get_text() == ""
    assert float(ax.get_yticklabels()[1].get_text()) > 10


def test_progress_of_several_runs_draws_on_the_given_axes():
    _, given_axes = pyplot.subplots()
    runs = {"ours": [(0.01, 1.0), (1.0, 2.0)], "theirs": [(0.5, 1.5)], "none": []}
    assert plot_progress(runs, ax=given_axes) is given_axes
    labels = [text.get_text() for text in given_axes.get_legend().get_texts()]
    assert labels == ["ours  2", "theirs  1.5", "none  no feasible point"]
    assert given_axes.get_xscale() == "log"
    assert len({line.get_color() for line in given_axes.get_lines()}) == 3


# --- linear regions on a plane --------------------------------------------------------------------------------------


def area(polygon):
    x, y = polygon.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


@given(st.integers(0, 10_000), st.sampled_from([(2, 6, 1), (2, 5, 5, 1), (2, 4, 3, 4, 1)]))
def test_the_regions_fill_the_polygon_and_each_has_its_own_pattern(seed, sizes):
    net = network(seed, sizes)
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    regions = regions_on_plane(net, square)
    assert sum(map(area, regions)) == pytest.approx(4.0, abs=1e-9)
    large = [region for region in regions if area(region) > 1e-6]
    rng = np.random.default_rng(seed)
    patterns = set()
    for region in large:
        inside = rng.dirichlet(np.ones(len(region)), 5) @ region * 0.999 + 0.001 * region.mean(axis=0)
        patterns |= {pattern.tobytes() for pattern in net.activation_pattern(inside)}
    assert len(patterns) == len(large)
    grid = rng.uniform(-1, 1, (500, 2))
    everywhere = {pattern.tobytes() for pattern in net.activation_pattern(grid)}
    assert len(everywhere) <= len(regions)


@given(st.integers(0, 10_000))
def test_the_plane_in_a_box_is_where_the_box_holds(seed):
    rng = np.random.default_rng(seed)
    lower, upper = -rng.uniform(0.5, 1, 5), rng.uniform(0.5, 1, 5)
    origin, directions = rng.uniform(-0.5, 0.5, 5), rng.normal(size=(2, 5))
    polygon = box_on_plane(lower, upper, origin, directions)
    corners = origin + polygon @ directions
    assert (corners >= lower - 1e-9).all()
    assert (corners <= upper + 1e-9).all()
    steps = rng.uniform(-2, 2, (200, 2))
    points = origin + steps @ directions
    inside = ((points > lower) & (points < upper)).all(axis=1)
    np.testing.assert_array_equal(Outline(polygon).contains_points(steps), inside)


def test_a_plane_that_misses_the_box_has_no_polygon():
    assert len(box_on_plane([0, 0, 0], [1, 1, 1], [0, 0, 2], [[1, 0, 0], [0, 1, 0]])) == 4  # the third is not asked
    assert len(box_on_plane([0, 0, 0], [1, 1, 1], [5, 5, 2], [[1, 0, 0.1], [0, 1, 0.0]])) == 0


def test_a_plane_needs_finite_bounds_and_two_directions():
    with pytest.raises(NetworkValueError, match="an input that varies on the slice has no finite bounds"):
        box_on_plane([0, 0], [1, np.inf], [0, 0], np.eye(2))
    with pytest.raises(NetworkValueError, match="the directions of the slice are parallel, or one is zero"):
        box_on_plane([0, 0], [1, 1], [0, 0], [[1, 1], [2, 2]])


def test_networks_on_planes_and_behind_affine_maps_have_the_values_of_the_network():
    net = network(3)
    rng = np.random.default_rng(0)
    origin, directions, steps = rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=(7, 2))
    values = plane_network(net, origin, directions).value(steps)
    np.testing.assert_allclose(values, net.value(origin + steps @ directions), atol=1e-12)
    with pytest.raises(NetworkValueError, match=r"a matrix of shape \(2, 2\) and an offset of shape \(3,\)"):
        substitute_inputs(net, np.eye(2), np.zeros(3))


def test_too_many_regions_are_refused():
    with pytest.raises(NetworkValueError, match="more than 5 linear regions"):
        regions_on_plane(network(0, (2, 30, 1)), [[-1, -1], [1, -1], [1, 1], [-1, 1]], most=5)


def test_a_slice_shows_values_regions_and_the_path():
    net = network(1)
    path = np.array([[0.0, 0.0, 0.5], [0.2, 0.1, 0.0], [0.9, -0.5, 0.3]])
    ax = plot_slice(net, [0.1, 0.2, 0.3], (2, 0), lower=-1, upper=[1, 1, 2], path=path)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("input 2", "input 0")
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 2), (-1, 1))
    drawn = ax.get_lines()[0]
    np.testing.assert_allclose(drawn.get_xydata(), path[:, [2, 0]], atol=1e-12)
    (image,) = ax.get_images()
    values = image.get_array()
    assert values[0, 0] == pytest.approx(net.value([[-1, 0.2, -1]])[0, 0])
    assert values[-1, 0] == pytest.approx(net.value([[1, 0.2, -1]])[0, 0])
    on_plane = plane_network(net, [0, 0.2, 0], np.eye(3)[[2, 0]])
    count = len(regions_on_plane(on_plane, [[-1, -1], [2, -1], [2, 1], [-1, 1]]))
    assert ax.get_title(loc="left") == f"{count} linear regions"
    assert len(ax.collections[0].get_paths()) == count


def test_a_slice_along_vectors_counts_steps_and_may_leave_the_borders_out():
    net = network(1, (3, 10, 2))
    a, b, c = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    ax = plot_slice(net, a, [b - a, c - a], lower=-1, upper=1, objective=[1, -1], path=[a, b, c], borders=False)
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), [[0, 0], [1, 0], [0, 1]], atol=1e-12)
    assert ax.get_title(loc="left") == ""
    assert not ax.collections


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"point": [0, 0]}, r"the point has shape \(2,\): give one number for each of 3"),
        ({"point": [0, np.nan, 0]}, "the point has nan: give finite numbers"),
        ({"directions": (0, 3)}, "give two different ones from 0 to 2"),
        ({"directions": (1, 1)}, "give two different ones"),
        ({"directions": [0.5, 1]}, "give two inputs, .*, or two vectors of length 3"),
        ({"objective": [1.0]}, r"the objective has shape \(1,\): give 2 weights"),
        ({"objective": None}, "the network has 2 outputs: give their weights"),
        ({"point": [9, 9, 9], "directions": [[1, 0, 0.1], [0, 1, 0]]}, "the slice misses the box"),
    ],
)
def test_a_slice_that_makes_no_sense_is_refused(arguments, message):
    net = network(1, (3, 10, 2))
    given_arguments = {"point": [0, 0, 0], "objective": [1, -1], **arguments}
    with pytest.raises(NetworkValueError, match=message):
        plot_slice(net, given_arguments.pop("point"), lower=-1, upper=1, **given_arguments)


def test_a_slice_with_too_many_regions_says_what_to_do(monkeypatch):
    def three_at_most(on_plane, polygon, _):
        return regions_on_plane(on_plane, polygon, 3)

    monkeypatch.setattr("pyomo_relugrad.plotting.slices.regions_on_plane", three_at_most)
    with pytest.raises(NetworkValueError, match="more than 3 linear regions: take a smaller box, or borders=False"):
        plot_slice(network(1), [0, 0, 0], lower=-1, upper=1)


# --- ranges ---------------------------------------------------------------------------------------------------------


def test_ranges_draw_a_bar_for_each_bound_and_count_the_unstable():
    net = network(2)
    ax = plot_ranges(net, -0.3, 0.3)
    bounds = crown_bounds(net, np.full((1, 3), -0.3), np.full((1, 3), 0.3))
    labels = [label.get_text().splitlines() for label in ax.get_xticklabels()]
    unstable = [f"{int(mask.sum())} unstable" for mask in bounds.unstable]
    assert labels == [
        ["3 inputs"],
        ["layer 1", "10 ReLUs", unstable[0]],
        ["layer 2", "8 ReLUs", unstable[1]],
        ["1 output"],
    ]
    for bars, lower, upper in zip(ax.collections[1:3], bounds.lower, bounds.upper, strict=True):
        drawn = sorted((path.vertices[:, 1].min(), path.vertices[:, 1].max()) for path in bars.get_paths())
        np.testing.assert_allclose(drawn, sorted(zip(lower[0], upper[0], strict=True)))
        crossing = sum(low < 0 < high for low, high in drawn)
        orange = matplotlib.colors.to_rgba("#E69F00")
        assert sum(tuple(colour) == orange for colour in bars.get_facecolors()) == crossing


# --- matplotlib -----------------------------------------------------------------------------------------------------


def test_without_matplotlib_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingPackageError, match=r'python -m pip install "pyomo_relugrad\[plot\]"'):
        plot_ranges(network(), -1, 1)


def test_matplotlib_is_imported_only_when_something_is_drawn():
    code = "import sys, pyomo_relugrad.plotting; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "False", run.stderr
