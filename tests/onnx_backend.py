"""ONNX's own backend tests, which come with the onnx package, as models with the outputs that are right."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case import base
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.loader import load_model_tests

#: Poolings of 32^3 numbers: ONNX computes their outputs in loops, which take twice as long as all others. Smaller ones
#: in three dimensions are among these.
LARGE = {"export_averagepool_3d_default", "export_lppool_3d_default", "export_maxpool_3d_default"}

REAL = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}


@dataclass(frozen=True, eq=False)
class BackendCase:
    """A model, values of its inputs, and the outputs that belong to them.

    Parameters
    ----------
    name : str
    model : ModelProto
        All inputs but one are stored in it, if it takes several.
    point : array
        Of the input that is left.
    expected : list of arrays
    """

    name: str
    model: ModelProto
    point: np.ndarray
    expected: list[np.ndarray]


def backend_cases(kinds=("simple", "pytorch-operator", "pytorch-converted", "node")) -> Iterator[BackendCase]:
    """The test cases of some kinds whose inputs and outputs are tensors, at least one input of them real."""
    for kind in kinds:
        if kind == "node":
            found = ((case.name, case.model, case.data_sets) for case in _node_cases())
        else:
            tests = load_model_tests(kind=kind)
            found = ((test.name, _model(test), _stored_data(test.model_dir) or test.data_sets) for test in tests)
        for name, model, data_sets in found:
            case = _with_one_input(name, model, data_sets[0]) if data_sets else None
            if case is not None:
                yield case


def _node_cases():
    """Those of single operators, but for large ones, and without the source text that ONNX's documentation shows."""
    exporter = type(base.Base)  # makes the cases of each of its classes
    make = exporter.__init__

    def make_others(cls, name, bases, members):
        make(cls, name, bases, {key: member for key, member in members.items() if key not in LARGE})

    with (
        mock.patch.object(exporter, "__init__", make_others),
        mock.patch.object(base, "process_snippet", return_value=("", "")),
    ):
        return collect_testcases(None)


def _model(test) -> ModelProto:
    return test.model if test.model is not None else onnx.load(str(Path(test.model_dir, "model.onnx")))


def _stored_data(folder):
    if folder is None:
        return None
    return [[[_tensor(path) for path in _numbered(data, kind)] for kind in ("input", "output")]
            for data in sorted(Path(folder).glob("test_data_set_*"))]  # fmt: skip


def _numbered(folder, kind):
    return sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))


def _tensor(path):
    try:
        return numpy_helper.to_array(TensorProto.FromString(path.read_bytes()))
    except Exception:  # a sequence or an optional value
        return None


def _with_one_input(name, model, data_set) -> BackendCase | None:
    inputs, expected = ([_array(value) for value in values] for values in data_set)
    given = list(zip(model.graph.input, inputs, strict=False))
    stored = {tensor.name for tensor in model.graph.initializer}
    real = [i for i, (value, _) in enumerate(given) if _is_real(value) and value.name not in stored]
    if not real or any(array is None for array in (*inputs, *expected)) or any(a.dtype.kind in "OUS" for a in inputs):
        return None
    chosen = real[0]
    if not inputs[chosen].size:
        return None
    frozen = ModelProto()
    frozen.CopyFrom(model)
    for i, (value, array) in enumerate(given):
        if i != chosen and value.name not in stored:
            frozen.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return BackendCase(name, frozen, inputs[chosen], expected)


def _array(value):
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return None if value is None or isinstance(value, list | dict) else np.asarray(value)


def _is_real(value) -> bool:
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type in REAL
