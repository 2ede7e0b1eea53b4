"""Whether a network has the values of the estimator, module or model that it was read from."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import NetworkMismatchError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.agreement import Disagreement, Rounding, comparison_points, disagreement
from pyomo_relugrad.readers.frameworks.sklearn_columns import table_of, with_random_categories
from pyomo_relugrad.readers.frameworks.sklearn_steps import fitted_numbers, table

logger = logging.getLogger(__name__)

_ROWS = 24
_PROBABILITY_TOLERANCE = 1e-6


def check_predictions(network: Network, estimator: Any, is_frame: bool) -> None:
    """Compare a network with a scikit-learn estimator's predictions, or its classes' scores or probabilities.

    `is_frame` says whether it was fitted on a data frame.

    Raises
    ------
    NetworkMismatchError
        If they differ by more than rounding explains.
    """
    points = np.concatenate([comparison_points(network), _points_near_data(network, estimator)])
    points = with_random_categories(points, network.choices)
    compare: Callable[[Network, Array, Array], Disagreement | None] = disagreement
    if not hasattr(estimator, "classes_"):
        evaluate = estimator.predict
    elif hasattr(estimator, "decision_function"):
        evaluate = estimator.decision_function
    else:
        evaluate, compare = estimator.predict_proba, _wrong_probabilities

    def tabulated(rows: Array) -> Any:
        if network.choices:
            return table_of(rows, network.input_names, network.choices, is_frame)
        return table(rows, getattr(estimator, "feature_names_in_", None))

    expected = _values(lambda rows: np.asarray(evaluate(tabulated(rows)), np.float64), points)
    found = None if expected is None else compare(network, points, expected)
    if found is not None:
        raise NetworkMismatchError(
            f"the network that was read from {type(estimator).__name__} {found}. It is not returned: please report it, "
            "with the estimator's steps"
        )


def _points_near_data(network: Network, estimator: Any) -> Array:
    """Points around what the estimator's parts hold of the data that they were fitted on."""
    numbers = fitted_numbers(estimator, network.n_inputs)
    if not len(numbers):
        return numbers
    rng = np.random.default_rng(0)
    centres, spreads = numbers[rng.integers(len(numbers), size=(2, _ROWS))]
    return centres + spreads * rng.normal(size=centres.shape)


def _wrong_probabilities(network: Network, points: Array, expected: Array) -> Disagreement | None:
    """Where the probabilities that follow from the network's scores are not those of the classifier."""
    scores = network.value(points)
    if scores.shape[1] == expected.shape[1] > 1 and np.allclose(expected.sum(axis=1), 1.0):
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    else:
        probabilities = 0.5 * (1.0 + np.tanh(0.5 * scores))
        expected = expected[:, 1:] if scores.shape[1] == 1 else expected
    differences = abs(probabilities - expected).max(axis=1)
    worst = int(np.argmax(differences))
    if differences[worst] <= _PROBABILITY_TOLERANCE:
        return None
    return Disagreement(float(differences[worst]), _PROBABILITY_TOLERANCE, points[worst : worst + 1])


def check_module(network: Network, torch: Any, module: Any, inputs: tuple[Any, ...], rounding: Rounding) -> None:
    """Compare a network with the PyTorch module that it was exported from, which is in evaluation mode.

    `rounding` is that of the exported file.

    Raises
    ------
    NetworkMismatchError
        If they differ by more than rounding explains.
    """
    points = comparison_points(network)[:_ROWS]
    expected = _values(lambda rows: _module_values(torch, module, inputs, rows), points)
    found = None if expected is None else disagreement(network, points, expected, rounding)
    if found is None or _agrees_in_double(network, torch, module, inputs, found.points):
        return
    raise NetworkMismatchError(
        f"the network that PyTorch's exporter made of {type(module).__name__} {found}: the exporter drops or changes "
        "something, as it does with branches that depend on the inputs, and with divisor_override of AvgPool2d. Write "
        "that step in another way; parts of the module that are loaded by themselves show which it is"
    )


def _agrees_in_double(network: Network, torch: Any, module: Any, inputs: tuple[Any, ...], points: Array) -> bool:
    """Whether the module has the network's values when it is computed in float64."""
    doubles = tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in inputs)
    expected = _values(lambda rows: _module_values(torch, copy.deepcopy(module).double(), doubles, rows), points)
    return expected is not None and disagreement(network, points, expected) is None


def _module_values(torch: Any, module: Any, inputs: tuple[Any, ...], points: Array) -> Array:
    """The module's outputs, flattened, at rows that are its inputs, flattened, as many at a time as the example has."""
    sizes = [tensor.numel() for tensor in inputs]
    rows = max(1, sum(sizes) // points.shape[1])
    results = []
    for start in range(0, len(points), rows):
        own = np.resize(points[start : start + rows], (rows, points.shape[1]))
        parts = np.split(own, np.cumsum([size // rows for size in sizes])[:-1], axis=1)
        feeds = [
            torch.as_tensor(part).reshape(tensor.shape).to(tensor) for part, tensor in zip(parts, inputs, strict=True)
        ]
        with torch.no_grad():
            outputs = [tensor.double().cpu().numpy().reshape(rows, -1) for tensor in _leaves(torch, module(*feeds))]
        results.append(np.concatenate(outputs, axis=1))
    return np.concatenate(results)[: len(points)]


def _leaves(torch: Any, outputs: Any) -> Iterator[Any]:
    """The tensors of what a module returns, in the exporter's order."""
    if isinstance(outputs, torch.Tensor):
        yield outputs
    else:
        for part in outputs.values() if isinstance(outputs, Mapping) else outputs:
            yield from _leaves(torch, part)


def check_keras(network: Network, model: Any) -> None:
    """Compare a network with the Keras model that it was converted from.

    Raises
    ------
    NetworkMismatchError
        If they differ by more than rounding explains.
    """
    points = comparison_points(network)

    def evaluate(rows: Array) -> Array:
        parts = np.split(rows, np.cumsum([spec.size for spec in network.inputs])[:-1], axis=1)
        feeds = [part.reshape(-1, *spec.shape) for part, spec in zip(parts, network.inputs, strict=True)]
        outputs = model.predict_on_batch(feeds if len(feeds) > 1 else feeds[0])
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return np.concatenate([np.asarray(output, np.float64).reshape(len(rows), -1) for output in outputs], axis=1)

    expected = _values(evaluate, points)
    found = None if expected is None else disagreement(network, points, expected)
    if found is not None:
        raise NetworkMismatchError(
            f"the network that tf2onnx made of the Keras model {found}. It is not returned: convert the model with "
            "another version of tf2onnx, or write the layer that it changes in another way"
        )


def _values(evaluate: Callable[[Array], Array], points: Array) -> Array | None:
    """The original's outputs at points, one row each; None if it cannot be run there."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return evaluate(points).reshape(len(points), -1)
    except Exception as error:  # an original may raise anything
        logger.debug(f"the original could not be run for a comparison: {type(error).__name__}: {error}")
        return None
