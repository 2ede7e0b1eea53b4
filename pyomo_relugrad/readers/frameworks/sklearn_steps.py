"""scikit-learn's transformations as affine maps: known ones by what they are, others by what they compute."""

import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import UnsupportedOperatorError
from pyomo_relugrad.network.building import affine_map, is_affine_map
from pyomo_relugrad.readers.frameworks.packages import first_line

AffineMap: TypeAlias = tuple[Array, Array]
"""A matrix and an offset."""

#: What stands in a pipeline for no step.
LEFT_OUT = (None, "passthrough")

#: Transformers of categories.
ENCODERS = frozenset({"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"})

_SCALERS = {"StandardScaler", "RobustScaler", "MinMaxScaler", "MaxAbsScaler"}
_PROJECTIONS = {"PCA", "IncrementalPCA", "TruncatedSVD", "FactorAnalysis", "FastICA"}
_RANDOM_PROJECTIONS = {"GaussianRandomProjection", "SparseRandomProjection"}
_IMPUTERS = {"SimpleImputer", "KNNImputer", "IterativeImputer"}

#: What a user of scikit-learn can do about transformers that are not affine.
_ADVICE: tuple[tuple[set[str], str], ...] = (
    (
        {"PolynomialFeatures", "SplineTransformer", "Nystroem", "RBFSampler"},
        "Fit the estimator on such features as columns of their own, and state them in the model",
    ),
    (
        {"PowerTransformer", "QuantileTransformer"},
        "Take StandardScaler or RobustScaler instead, or fit the estimator on the transformed columns",
    ),
    (
        {"KBinsDiscretizer", "Binarizer"},
        "It jumps where a bin ends: leave the numbers as they are, or give the bin as a category of its own, with "
        "OneHotEncoder",
    ),
    ({"Normalizer"}, "It divides a row by its length: take StandardScaler, which scales each column by itself"),
    (
        {"MinMaxScaler", "SimpleImputer"},
        "Take MinMaxScaler without clip, and SimpleImputer with missing_values=np.nan",
    ),
    (
        set(ENCODERS),
        "Encoders are read where they are the first to read their columns",
    ),
    ({"FunctionTransformer"}, "Its function bends or jumps: fit the estimator on columns that it was applied to"),
)


def transformation(step: Any, name: str, width: int) -> AffineMap:
    """The affine map of a fitted transformer's ``transform``, on rows of `width` numbers.

    Raises
    ------
    UnsupportedOperatorError
        If it is not affine.
    """
    return _map(step, step.transform, is_affine(step), name, width)


def inverse_transformation(step: Any, name: str, width: int) -> AffineMap:
    """The same of its ``inverse_transform``."""
    return _map(step, step.inverse_transform, _has_affine_inverse(step), name, width)


def _map(step: Any, transform: Callable[[Any], Any], is_known: bool, name: str, width: int) -> AffineMap:
    function = partial(_transformed, transform, getattr(step, "feature_names_in_", None), name)
    with silent():
        matrix, offset = affine_map(function, width)
        if is_known or is_affine_map(function, matrix, offset, fitted_numbers(step, width)):
            return matrix.toarray(), offset
    raise not_affine(name, step)


@contextmanager
def silent() -> Iterator[None]:
    """Nothing is warned of inside, neither by Python nor by NumPy."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def not_affine(name: str, step: Any) -> UnsupportedOperatorError:
    """The error that names a step, the part of it that is not affine, and what to do."""
    part, path = step, name
    while inner := next(((own, one) for own, one in _named_parts(part) if not is_affine(one)), None):
        path, part = f"{path}, {inner[0]}", inner[1]
    kind = type(part).__name__
    advice = next((text for kinds, text in _ADVICE if kind in kinds), "Transform the data before, or state the step "
                  "in the model")  # fmt: skip
    if part is step:
        return UnsupportedOperatorError(
            f"the step {name!r} is not affine: only scalers and the like can be read. {advice}", name, kind
        )
    return UnsupportedOperatorError(
        f"the step {name!r} is not affine: only scalers and the like can be read, and it has {path[len(name) + 2 :]!r} "
        f"({kind}). {advice}",
        name,
        kind,
    )


def _transformed(transform: Callable[[Any], Any], names: Any, step_name: str, points: Array) -> Array:
    """Rows of numbers that a step makes of rows of numbers."""
    try:
        values = transform(table(points, names))
        values = values.toarray() if hasattr(values, "toarray") else values
        return np.asarray(values, dtype=np.float64).reshape(len(points), -1)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise UnsupportedOperatorError(
            f"the step {step_name!r} cannot be read: it does not turn rows of numbers into rows of numbers "
            f"({first_line(error)}). Apply it to the data before the pipeline",
            step_name,
        ) from error


def table(points: Array, names: Any) -> Any:
    """The points as what an estimator was fitted on: a data frame, if there are names and pandas is installed."""
    if names is None or len(names) != points.shape[1] or find_spec("pandas") is None:
        return points
    return import_module("pandas").DataFrame(points, columns=names)


def fitted_numbers(estimator: Any, width: int) -> Array:
    """Rows (k, width) of numbers that an estimator or its parts hold for their inputs: means, limits and the like."""
    rows = [np.zeros((0, width))]
    for part in (estimator, *_parts(estimator)):
        for value in vars(part).values() if hasattr(part, "__dict__") else ():
            if isinstance(value, (float, int)) and not isinstance(value, bool):
                rows.append(np.full((1, width), float(value)))
            elif isinstance(value, (np.ndarray, list, tuple)):
                rows.append(_rows_of(value, width))
    numbers = np.concatenate(rows)
    return np.unique(numbers[np.isfinite(numbers).all(axis=1)], axis=0)[:100]


def _rows_of(value: Any, width: int) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros((0, width))
    return array.reshape(-1, width) if array.ndim in (1, 2) and array.shape[-1] == width else np.zeros((0, width))


def _parts(step: Any) -> Iterator[Any]:
    """The transformers that a pipeline, a union or a column transformer is made of."""
    yield from (part for _, part in _named_parts(step))


def _named_parts(step: Any) -> Iterator[tuple[str, Any]]:
    for name in ("transformers_", "transformer_list", "steps"):
        yield from ((entry[0], entry[1]) for entry in getattr(step, name, ()))


def is_affine(step: Any, others: Collection[str] = ()) -> bool:
    """Whether a transformer is affine by what it is, or of the `others`, and so are its parts."""
    if isinstance(step, str) or step is None:
        return True  # "passthrough", "drop"
    kind = type(step).__name__
    if kind in others:
        return True
    if not type(step).__module__.startswith("sklearn."):
        return False
    if kind in _SCALERS:
        return not getattr(step, "clip", False)
    if kind in ("Pipeline", "ColumnTransformer", "FeatureUnion"):
        return all(is_affine(part, others) for part in _parts(step))
    if kind == "FunctionTransformer":
        return step.func is None
    if kind in _IMPUTERS:
        return isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    return kind in _PROJECTIONS | _RANDOM_PROJECTIONS or hasattr(step, "get_support")


def _has_affine_inverse(step: Any) -> bool:
    """Whether a transformer's inverse is affine by what it is."""
    kind = type(step).__name__
    if not type(step).__module__.startswith("sklearn."):
        return False
    if kind == "Pipeline":
        return all(part in LEFT_OUT or _has_affine_inverse(part) for part in _parts(step))
    if kind == "FunctionTransformer":
        return step.inverse_func is None
    return kind in _SCALERS | {"PCA", "IncrementalPCA", "TruncatedSVD"}
