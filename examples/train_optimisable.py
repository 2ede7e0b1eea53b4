"""Train a regression network with terms that make proofs over it short, in plain NumPy.

Shared by the example on training for optimization. Inputs lie in the box from -1 to 1. Interval bounds of what enters
each ReLU over that box have derivatives like everything else, and two terms in the loss press on them: the mean width
of the bounds, and how far the ReLUs are from having one sign throughout.
"""

import itertools

import numpy as np

from pyomo_relugrad import Network

Arrays = list[np.ndarray]


def train(
    X: np.ndarray,
    y: np.ndarray,
    hidden: tuple[int, ...] = (20, 20),
    width: float = 0.0,
    stable: float = 0.0,
    epochs: int = 120,
    seed: int = 0,
    start: Network | None = None,
) -> Network:
    """Minimize the mean squared error and the two terms by Adam.

    Parameters
    ----------
    X : (n, n_inputs) array
        Between -1 and 1.
    y : (n,) array
    hidden : tuple of int
        Neurons per hidden layer.
    width : float
        Weight of the mean width of the bounds.
    stable : float
        Weight of the mean of ``-tanh(1 + lower * upper)``, which is smallest where both bounds have one sign.
    epochs, seed : int
    start : Network, optional
        What an earlier training returned; this one goes on from there.
    """
    random = np.random.default_rng(seed)
    sizes = (X.shape[1], *hidden, 1)
    weights = [random.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    biases = [np.zeros(size) for size in sizes[1:]]
    if start is not None:
        weights = [np.array(layer.weights[0]) for layer in start.layers]
        biases = [np.array(layer.bias) for layer in start.layers]
    parameters = [*weights, *biases]
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    step = 0
    for epoch in range(epochs):
        length = 1e-2 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        for rows in np.array_split(random.permutation(len(X)), max(len(X) // 128, 1)):
            step += 1
            found = zip(
                error_gradients(weights, biases, X[rows], y[rows]),
                bound_gradients(weights, biases, width, stable),
                strict=True,
            )
            for parameter, mean, square, (of_error, of_bounds) in zip(parameters, means, squares, found, strict=True):
                gradient = of_error + of_bounds
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                scale = np.sqrt(square / (1 - 0.999**step)) + 1e-8
                parameter -= length * mean / (1 - 0.9**step) / scale
    return Network.from_layers(weights, biases)


def error_gradients(weights: Arrays, biases: Arrays, X: np.ndarray, y: np.ndarray) -> Arrays:
    """Gradients of the mean squared error, of the weights and then of the biases."""
    values = [X]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        values.append(np.maximum(values[-1] @ weight.T + bias, 0))
    error = 2 * (values[-1] @ weights[-1].T + biases[-1] - y[:, None]) / len(X)
    of_weights, of_biases = [], []
    for layer in reversed(range(len(weights))):
        of_weights.insert(0, error.T @ values[layer])
        of_biases.insert(0, error.sum(axis=0))
        error = (error @ weights[layer]) * (values[layer] > 0)
    return of_weights + of_biases


def bound_terms(weights: Arrays, biases: Arrays) -> tuple[float, float, list[tuple[Arrays, Arrays]]]:
    """Mean width, mean of the stability term, and for each hidden layer what enters and leaves its bounds."""
    ends = [-np.ones(weights[0].shape[1]), np.ones(weights[0].shape[1])]
    layers = []
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        bounds = [positive @ ends[0] + negative @ ends[1] + bias, positive @ ends[1] + negative @ ends[0] + bias]
        layers.append((ends, bounds))
        ends = [np.maximum(bound, 0) for bound in bounds]
    lower, upper = (np.concatenate([bounds[side] for _, bounds in layers]) for side in (0, 1))
    return float((upper - lower).mean()), float(-np.tanh(1 + lower * upper).mean()), layers


def bound_gradients(weights: Arrays, biases: Arrays, width: float, stable: float) -> Arrays:
    """Gradients of both terms with their weights, of the weights and then of the biases."""
    _, _, layers = bound_terms(weights, biases)
    n_relus = sum(bounds[0].size for _, bounds in layers)
    of_weights, of_biases = [np.zeros_like(weights[-1])], [np.zeros_like(biases[-1])]
    below = above = np.zeros(weights[-1].shape[1])  # derivatives by the ends that leave the layer
    for weight, (ends, (lower, upper)) in reversed(list(zip(weights[:-1], layers, strict=True))):
        slope = -stable / np.cosh(np.minimum(np.abs(1 + lower * upper), 300)) ** 2
        below = below * (lower > 0) + (slope * upper - width) / n_relus
        above = above * (upper > 0) + (slope * lower + width) / n_relus
        same = np.outer(below, ends[0]) + np.outer(above, ends[1])
        crossed = np.outer(below, ends[1]) + np.outer(above, ends[0])
        of_weights.insert(0, np.where(weight > 0, same, crossed))
        of_biases.insert(0, below + above)
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        below, above = positive.T @ below + negative.T @ above, positive.T @ above + negative.T @ below
    return of_weights + of_biases
