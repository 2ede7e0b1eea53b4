"""What onnxruntime computes from a file at one point: the last word on a counterexample."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.readers.onnx.runtimes import OnnxRuntime

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def values_in_onnxruntime(path: Path, x: Array) -> tuple[Array, Array]:
    """The inputs (n_inputs,) as the file's types hold them, and the outputs (n_outputs,) for them.

    Parameters
    ----------
    path : Path
    x : (n_inputs,) array
        One row of all inputs, in the graph's order.
    """
    runtime = OnnxRuntime(str(path))
    feeds, begin = dict[str, Array](), 0
    for tensor in runtime.inputs:
        shape = [size if isinstance(size, int) and size > 0 else 1 for size in tensor.shape]
        end = begin + int(np.prod(shape, dtype=np.int64))
        feeds[tensor.name] = x[begin:end].reshape(shape).astype(_TYPES.get(tensor.type, np.float32))
        begin = end
    outputs = [np.asarray(output, np.float64).ravel() for output in runtime(feeds)]
    given = [np.asarray(fed, np.float64).ravel() for fed in feeds.values()]
    return np.concatenate(given), np.concatenate(outputs)
