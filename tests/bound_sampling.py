"""Points that try to leave the bounds: 30 networks, trained and random, dense and convolutional, every kind of bound.

    python tests/bound_sampling.py             # 1,000,000 points
    python tests/bound_sampling.py 60000 7     # points, first seed

Half of the points are uniform in the box, a quarter are corners, and a quarter are corners to which the gradient of a
random function of the outputs points. Prints a line per network and ends with an error where a bound is violated.
"""

import sys
import time
import warnings
from functools import cache

import numpy as np
from random_models import random_network as random_chain
from scipy import sparse
from test_bounds import random_network

from pyomo_relugrad.network import Layer, Network, PreactivationBounds, crown_bounds, interval_bounds
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.programs import tighten_by_programs
from pyomo_relugrad.proof import prove
from pyomo_relugrad.proof.root_bound import dual_bound

N_NETWORKS = 30
IMAGE = 8
# Points at once: what they give at every neuron stays small.
CHUNK = 10_000


# --- networks -----------------------------------------------------------------------------------------------------


def network_of(index: int, seed: int) -> tuple[str, Network]:
    """One of the `N_NETWORKS` kinds of networks, and its name."""
    rng = np.random.default_rng([index, seed])
    if index < 8:
        return "random, with skips", random_network(1000 * seed + index)
    if index < 14:
        depth = int(rng.integers(1, 5))
        return "random, dense", random_chain(rng, (int(rng.integers(1, 9)), *rng.integers(8, 33, size=depth), 2))
    if index < 20:
        sizes = (int(rng.integers(8, 24)),) * int(rng.integers(1, 3))
        filters = convolution_stack(rng, layers=1 + index % 2)
        return "random, convolutional", stacked(filters, random_chain(rng, (filters[-1].width, *sizes, 3)))
    if index < 23:
        return "trained, dense, regression", trained_regressor(seed + index)
    if index < 26:
        return "trained, dense, classification", trained_classifier(seed + index, ())
    filters = convolution_stack(rng, layers=1)
    return "trained, convolutional", stacked(filters, trained_classifier(seed + index, filters))


def convolution_stack(rng: np.random.Generator, layers: int) -> tuple[Layer, ...]:
    """Convolutions of 8 x 8 images with 3 x 3 kernels and stride 2, as sparse layers."""
    result, size, channels = [], IMAGE, 1
    for index in range(layers):
        kernels = rng.normal(size=(3, channels, 3, 3)) / np.sqrt(4.5 * channels)
        weight = convolution_matrix(kernels, size)
        result.append(Layer((index,), (weight,), 0.1 * rng.normal(size=weight.shape[0])))
        size, channels = (size - 3) // 2 + 1, 3
    return tuple(result)


def convolution_matrix(kernels: np.ndarray, size: int) -> sparse.csr_array:
    """The matrix of a convolution with stride 2 and without padding: rows (channel, y, x) of the output."""
    out_channels, channels, height, width = kernels.shape
    steps = (size - height) // 2 + 1
    matrix = np.zeros((out_channels, steps, steps, channels, size, size))
    for y in range(steps):
        for x in range(steps):
            matrix[:, y, x, :, 2 * y : 2 * y + height, 2 * x : 2 * x + width] = kernels
    return sparse.csr_array(matrix.reshape(out_channels * steps**2, -1))


def stacked(first: tuple[Layer, ...], last: Network) -> Network:
    """Layers followed by a chain."""
    moved = tuple(Layer((index + len(first),), layer.weights, layer.bias) for index, layer in enumerate(last.layers))
    return Network(first[0].weights[0].shape[1], first + moved)


@cache
def trained_regressor(seed: int) -> Network:
    """Diabetes: ten inputs."""
    from sklearn.datasets import load_diabetes
    from sklearn.neural_network import MLPRegressor

    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.min(axis=0)) / np.ptp(X, axis=0), (y - y.mean()) / y.std()
    return of_sklearn(fitted(MLPRegressor(hidden_layer_sizes=(24, 24), max_iter=150, random_state=seed), X, y))


def trained_classifier(seed: int, filters: tuple[Layer, ...]) -> Network:
    """Digits: 8 x 8 images, seen through fixed convolutions."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    X, y = load_digits(return_X_y=True)
    H = X / 16.0
    for layer in filters:
        H = np.maximum(H @ layer.weights[0].T + layer.bias, 0)
    return of_sklearn(fitted(MLPClassifier(hidden_layer_sizes=(24, 24), max_iter=20, random_state=seed), H, y))


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of training that ends before it converges
        return model.fit(X, y)


def of_sklearn(model) -> Network:
    return Network.from_layers([weight.T for weight in model.coefs_], model.intercepts_)


# --- bounds and points --------------------------------------------------------------------------------------------


def random_box(network: Network, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A box of any width in [-1, 1], some of its sides of length zero."""
    centre = rng.uniform(-0.5, 1.0, size=network.n_inputs)
    radius = 10 ** rng.uniform(-2, 0) * rng.random(network.n_inputs) * (rng.random(network.n_inputs) < 0.95)
    return centre - radius, centre + radius


def points_of(network: Network, box: tuple[np.ndarray, np.ndarray], rng: np.random.Generator, count: int) -> np.ndarray:
    """Uniform points and corners."""
    lower, upper = box
    points = rng.uniform(lower, upper, size=(count, network.n_inputs))
    half = count // 2
    points[half:] = np.where(rng.random((count - half, lower.size)) < 0.5, lower, upper)
    steep = points[: count // 4]
    gradients = network.value_and_gradient(steep, rng.normal(size=(len(steep), network.n_outputs)))[1]
    points[count - len(steep) :] = np.where(gradients > 0, upper, lower)
    return points


def box_problem(network: Network, box: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> Problem:
    """A random function of inputs and outputs over the box."""
    n, free = network.n_inputs, np.full(network.n_outputs, np.inf)
    embedded = EmbeddedNetwork(network, np.arange(n), n + np.arange(network.n_outputs))
    cost = rng.normal(size=n + free.size)
    return Problem(cost, np.r_[box[0], -free], np.r_[box[1], free], networks=(embedded,))


class Claims:
    """Everything that the package claims of a network over a box."""

    def __init__(self, network: Network, box: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> None:
        self.network, self.problem = network, box_problem(network, box, rng)
        lower, upper = box[0][None], box[1][None]
        self.crown = {
            "CROWN": crown_bounds(network, lower, upper),
            "alpha-CROWN": crown_bounds(network, lower, upper, slope_steps=8),
        }
        programs = tighten_by_programs(self.problem, bound_problem(self.problem, "lp"), time_limit=0.5)
        self.ranges = {"interval": interval_bounds(network, lower, upper), **self.crown, "LP": programs.networks[0]}
        self.objective = {
            "dual bound": dual_bound(self.problem),
            "branch and bound": prove(self.problem, node_limit=20).bound,
        }

    def violations(self, points: np.ndarray) -> dict[str, float]:
        """By how much points (B, n_inputs) are outside, per kind of bound; not positive where all are inside."""
        values = [*self.network.preactivations(points), self.network.value(points)]
        result = {name: outside(bounds, values) for name, bounds in self.ranges.items()}
        for name, bounds in self.crown.items():
            below = points @ bounds.lower_coefficients[0].T + bounds.lower_constants[0]
            above = points @ bounds.upper_coefficients[0].T + bounds.upper_constants[0]
            # What the evaluation of the functions may itself round by.
            slack = 1e-14 * (1 + np.abs(points) @ np.abs(bounds.lower_coefficients[0]).T + np.abs(values[-1]))
            result[f"{name} functions"] = float((np.maximum(below - values[-1], values[-1] - above) - slack).max())
        objective = (np.c_[points, values[-1]] @ self.problem.cost).min()
        for name, bound in self.objective.items():
            result[name] = float(bound - objective) - 1e-14 * (1 + abs(float(objective)))
        return result


def outside(bounds: PreactivationBounds, values: list[np.ndarray]) -> float:
    """By how much values of the layers and outputs are outside their ranges."""
    lower, upper = [*bounds.lower, bounds.output_lower], [*bounds.upper, bounds.output_upper]
    parts = zip(lower, upper, values, strict=True)
    return float(max(np.maximum(low - value, value - high).max() for low, high, value in parts))


def violations_of(network: Network, rng: np.random.Generator, count: int) -> dict[str, float]:
    """The largest violations by `count` points, `CHUNK` of them in each of several boxes."""
    worst = dict[str, float]()
    while count > 0:
        box = random_box(network, rng)
        points = points_of(network, box, rng, min(count, CHUNK))
        for kind, violation in Claims(network, box, rng).violations(points).items():
            worst[kind] = max(violation, worst.get(kind, -np.inf))
        count -= CHUNK
    return worst


def main(n_points: int = 1_000_000, seed: int = 0) -> None:
    """Sample all networks; several boxes of each where there are many points."""
    begin, n_violated, per_network = time.perf_counter(), 0, -(-n_points // N_NETWORKS)
    for index in range(N_NETWORKS):
        name, network = network_of(index, seed)
        worst = violations_of(network, np.random.default_rng([seed, index, 1]), per_network)
        bad = {kind: value for kind, value in worst.items() if value > 0}
        n_violated += bool(bad)
        print(f"{index:3} {name:32} {f'violated: {bad}' if bad else 'inside all bounds'}", flush=True)
    seconds = time.perf_counter() - begin
    print(f"{N_NETWORKS * per_network} points, {seconds:.0f} s, {n_violated} networks outside their bounds")
    sys.exit(n_violated > 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
