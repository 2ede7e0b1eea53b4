"""Train small classifiers of digits with weight decay, an L1 penalty or clipped ReLUs, in plain NumPy.

Shared by the examples that compare networks; training takes less than a second.
"""

import itertools

import numpy as np

from pyomo_relugrad import Network


def train(
    X: np.ndarray,
    labels: np.ndarray,
    hidden: tuple[int, ...] = (24, 24),
    weight_decay: float = 0.0,
    l1: float = 0.0,
    clip: float = np.inf,
    epochs: int = 60,
    seed: int = 0,
) -> Network:
    """Minimize the cross-entropy by Adam, with decoupled weight decay and soft thresholding for the L1 penalty.

    Parameters
    ----------
    X : (n, n_inputs) array
    labels : (n,) int array
        From 0.
    hidden : tuple of int
        Neurons per hidden layer.
    weight_decay : float
        Each step shrinks all weights by the step length times this.
    l1 : float
        Each step moves all weights towards zero by the step length times this, and not beyond.
    clip : float
        A neuron's value is ``min(max(z, 0), clip)``.
    epochs, seed : int
    """
    random = np.random.default_rng(seed)
    sizes = (X.shape[1], *hidden, int(labels.max()) + 1)
    weights = [random.normal(size=(a, b)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    biases = [np.zeros(size) for size in sizes[1:]]
    parameters = [*weights, *biases]
    means, squares = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    step = 0
    for epoch in range(epochs):
        length = 3e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
        for rows in np.array_split(random.permutation(len(X)), len(X) // 64):
            step += 1
            for index, gradient in enumerate(gradients(weights, biases, X[rows], labels[rows], clip)):
                parameter = parameters[index]
                means[index] += 0.1 * (gradient - means[index])
                squares[index] += 0.001 * (gradient**2 - squares[index])
                scale = np.sqrt(squares[index] / (1 - 0.999**step)) + 1e-8
                parameter -= length * means[index] / (1 - 0.9**step) / scale
                if index < len(weights):
                    parameter *= 1 - length * weight_decay
                    parameter -= np.clip(parameter, -length * l1, length * l1)
    return to_network(weights, biases, clip)


def gradients(
    weights: list[np.ndarray], biases: list[np.ndarray], X: np.ndarray, labels: np.ndarray, clip: float
) -> list[np.ndarray]:
    """Gradients of the mean cross-entropy, of the weights and then of the biases."""
    values, moving = [X], []
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        z = values[-1] @ weight + bias
        moving.append((z > 0) & (z < clip))
        values.append(np.clip(z, 0, clip))
    scores = values[-1] @ weights[-1] + biases[-1]
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(len(X)), labels] -= 1
    error = chances / len(X)
    of_weights, of_biases = [], []
    for layer in reversed(range(len(weights))):
        of_weights.insert(0, values[layer].T @ error)
        of_biases.insert(0, error.sum(axis=0))
        if layer:
            error = (error @ weights[layer].T) * moving[layer - 1]
    return of_weights + of_biases


def to_network(weights: list[np.ndarray], biases: list[np.ndarray], clip: float) -> Network:
    """As ReLUs alone: a clipped one is the difference of two, ``relu(z) - relu(z - clip)``."""
    rows, offsets = [weight.T for weight in weights], list(biases)
    if np.isfinite(clip):
        rows = [rows[0], *(np.hstack([row, -row]) for row in rows[1:])]
        rows = [*(np.vstack([row, row]) for row in rows[:-1]), rows[-1]]
        offsets = [*(np.concatenate([offset, offset - clip]) for offset in offsets[:-1]), offsets[-1]]
    return Network.from_layers(rows, offsets)
