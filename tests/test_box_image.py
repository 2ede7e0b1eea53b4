"""The image of a box of many inputs under a network's first layer, which descents take for an ellipsoid."""

import array_api_strict
import numpy as np
import pytest
from random_networks import random_network
from scipy import sparse

from pyomo_relugrad import maximize
from pyomo_relugrad.network import Device, Layer, Network
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.descent import image as image_module
from pyomo_relugrad.search.descent.image import BoxImage, ImageSearch
from pyomo_relugrad.search.descent.projected import ProjectedDescent, ProjectedRounds
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.solve import array_problem

SIZES = (800, 10, 12, 1)
LOWER, UPPER = np.linspace(-1.0, 0.3, 800), np.linspace(0.5, 2.0, 800)


@pytest.fixture(autouse=True)
def small_networks_too(monkeypatch):
    monkeypatch.setattr(image_module, "FEWEST_WEIGHTS", 0)


def network_of(seed):
    """A network whose first neurons are correlated, so that the image is no ball."""
    first, *others = random_network(SIZES, seed).layers
    mixing = np.random.default_rng(seed).standard_normal((10, 10)) / np.sqrt(10)
    return Network(800, (Layer((0,), (mixing @ first.weights[0],), first.bias), *others))


def image_of(network, lower=LOWER, upper=UPPER, **costs):
    problem = array_problem(network, None, lower, upper, **costs)
    return BoxImage.of(ReducedObjective(problem), domain_of(problem)), problem


def after(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("seed", range(3))
def test_vertices_have_about_the_values_of_their_points_in_the_image(seed):
    image, problem = image_of(network_of(seed))
    points = image.on_surface(np.random.default_rng(seed).standard_normal((300, 10)))
    expected = ReducedObjective(problem).value(image.vertices_seen(points).astype(float))
    errors = image.value(points) - expected
    assert np.sqrt(np.mean(errors**2)) < 0.2 * expected.std()
    assert abs(errors.mean()) < 0.1 * expected.std()


def test_slopes_over_the_image_are_those_of_its_values():
    image, _ = image_of(random_network(SIZES, 5))
    points = image.on_surface(np.random.default_rng(0).standard_normal((20, 10)))
    values, gradient = image.value_and_gradient(points)
    step = 1e-3 * np.sign(gradient)
    gains = (image.value(points + step) - values) / np.abs(step * gradient).sum(axis=1)
    assert np.median(gains) == pytest.approx(1.0, abs=0.02)


def test_points_are_projected_onto_the_ball_through_the_corners_of_a_cube():
    image, _ = image_of(random_network(SIZES, 1))
    corner = 0.5 * np.ones((1, 10), np.float32)
    np.testing.assert_allclose(image.project(corner), corner, rtol=1e-6)
    np.testing.assert_allclose(image.project(3 * corner), corner, rtol=1e-6)
    np.testing.assert_allclose(image.on_surface(0.1 * corner), corner, rtol=1e-6)


def test_only_boxes_that_many_inputs_span_before_a_dense_layer_are_seen_so():
    network = random_network(SIZES, 0)
    first, second, last = network.layers
    assert image_of(network)[0] is not None
    assert image_of(random_network((70, 10, 12, 1), 0), 0.0, 1.0)[0] is None  # few inputs
    assert image_of(random_network((800, 10, 100, 100, 1), 0))[0] is None  # the first layer is not most of the work
    assert image_of(network, input_objective=np.ones(800))[0] is None
    beside = Layer((0, 2), (np.ones((1, 800)), last.weights[0]), last.bias)
    assert image_of(Network(800, (first, second, beside)))[0] is None
    thin = Layer((0,), (sparse.csr_array(first.weights[0]),), first.bias)
    assert image_of(Network(800, (thin, second, last)))[0] is None
    constant = Layer((0,), (np.zeros((10, 800)),), first.bias)
    assert image_of(Network(800, (constant, second, last)))[0] is None


@pytest.mark.parametrize("size", [1e-30, 1e22])
def test_boxes_of_any_size_are_seen_alike(size):
    network, unit = network_of(4), image_of(network_of(4), -1.0, 1.0)[0]
    image, _ = image_of(network, -size, size)
    points = image.on_surface(np.random.default_rng(0).standard_normal((30, 10)))
    np.testing.assert_allclose(image.vertices_seen(points), size * unit.vertices_seen(points), rtol=1e-6)
    assert np.isfinite(image.value(points)).all()


def test_networks_of_few_weights_are_searched_as_they_are(monkeypatch):
    monkeypatch.undo()
    assert image_of(random_network(SIZES, 0))[0] is None


def test_rounds_come_to_better_vertices():
    image, problem = image_of(network_of(2))
    budget = Budget()
    search = ImageSearch(image, np.random.default_rng(0), budget)
    objective = ReducedObjective(problem)
    first = objective.value(after(search.rounds(0)).astype(float)).min()
    later = objective.value(after(search.rounds(3)).astype(float)).min()
    assert budget.points == 0 < budget.iterations
    drawn = image.on_surface(np.random.default_rng(1).standard_normal((3_000, 10)))
    assert later <= first < objective.value(image.vertices_seen(drawn).astype(float)).min()


def test_the_best_of_the_vertices_that_are_found_descend():
    image, problem = image_of(network_of(0))
    context = SearchContext(Budget(), np.random.default_rng(0))
    rounds = ProjectedRounds(ProjectedDescent(), problem, domain_of(problem), context)
    found = after(ImageSearch(image, np.random.default_rng(0), Budget()).rounds(1))
    rounds.image = ImageSearch(image, np.random.default_rng(0), Budget())
    values = rounds.moving.value(after(rounds._seen_starts(1, 3)))
    np.testing.assert_array_equal(values, np.sort(rounds.moving.value(rounds.moving.cast(found)))[:3])


def test_rounds_keep_the_best_point_of_each_valley():
    image, problem = image_of(network_of(1))
    points = after(ImageSearch(image, np.random.default_rng(0), Budget()).rounds(3))
    apart = np.abs(points[:, None] - points[None]).mean(axis=2) / np.mean(UPPER - LOWER)
    values = ReducedObjective(problem).value(points.astype(float))
    assert (apart[0] > 0.1).sum() >= 4  # all of them come to the best one's valley otherwise
    assert values[:3].min() < 0.999 * values.min() < 0  # points of one valley differ by less


def test_a_search_limited_by_iterations_ends_on_a_device_where_it_does_on_the_host(monkeypatch):
    monkeypatch.setattr(Device, "named", classmethod(lambda cls, name: Device(array_api_strict)))
    network, limits = network_of(3), {"iteration_limit": 450, "time_limit": np.inf}
    here, again = (maximize(network, None, LOWER, UPPER, **limits) for _ in range(2))
    there = maximize(network, None, LOWER, UPPER, device="cuda", **limits)
    assert here.value == again.value
    assert there.value == pytest.approx(here.value, rel=1e-9)
    with monkeypatch.context() as patch:
        patch.setattr(image_module, "INPUTS_PER_NEURON", np.inf)
        assert here.value >= maximize(network, None, LOWER, UPPER, **limits).value - 1e-6
