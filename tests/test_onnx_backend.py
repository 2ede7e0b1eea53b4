"""ONNX's own backend tests: every piecewise-linear one has the stored outputs, the others are refused justly."""

import re
import warnings
from functools import cache

import numpy as np
import pytest
from onnx_backend import BackendCase, backend_cases

from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.readers.onnx import load_onnx

# fmt: off
READ = {
    "Abs", "Add", "AveragePool", "BatchNormalization", "CenterCropPad", "Clip", "Col2Im",
    "Compress", "Concat", "Constant", "Conv", "ConvTranspose", "CumSum", "DepthToSpace", "Dropout", "Einsum",
    "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "GridSample", "HardSigmoid", "Identity", "LeakyRelu", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mul",
    "Neg", "PRelu", "Pad", "ReduceL1", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape",
    "Resize", "ReverseSequence", "Scatter", "ScatterElements", "ScatterND", "Shape", "Shrink", "Size",
    "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Sum", "Tile", "Transpose", "Trilu", "Unsqueeze",
    "Upsample", "Where",
}
# fmt: on
"""Operators of which a graph must be read, but for these reasons."""

NOT_LINEAR = r"multiplies two tensors that both depend|takes its .* from the network's input"
EXCEPTIONS = (
    NOT_LINEAR,
    r"training mode",
    r"jumps where|positions of the maxima",
    r"Resize (that keeps the aspect ratio|with an extrapolation value)",
    r"holds NaN or infinite numbers|outputs are empty",
    r"has the shape \[.*\]: export the network with fixed sizes",
    r"\(Reshape\): .* cannot evaluate it: cannot reshape array of size 12 into shape \(3,4,0\)",  # empty tensors
    r"\(Split\): .* cannot evaluate it: .*sum of 'split' \(0\)",
    r"with its second output|Where chooses by a comparison",
    r"cannot be read: .*mode",
    r"FLOAT(8|4)",
)
JUST = (
    *EXCEPTIONS,
    r"is not piecewise linear|not piecewise linear$|is not continuous",
    r"turns scores into labels|TopK sorts|draws random numbers|is recurrent|works on a list of tensors",
    r"is not an operator that can be read",
    r"rounds a tensor that depends on the network's input|the outcome of a comparison",
    r"operator set 8 cannot be read|too many for an operator that is read by evaluation|one element at a time",
    r"\(DequantizeLinear\): .* cannot evaluate it: .*unsupported type",  # numbers of eight bits and fewer
    r"with p=\d takes roots",
    r"the network that was read differs",
)

UNLIKE_ONNXRUNTIME = {
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
}
"""Where onnxruntime, whose values the network has, differs from what is stored."""

SLOW = re.compile("_expanded|linear_attention|nllloss|castlike|cast_")
LARGE = re.compile(
    "MaxPool2d_stride_padding_dilation|sce_NCd1d2d3_none_no_weight_negative_ii.*_expanded"
    "|nllloss_NCd1d2d3_none_no_weight_negative_ii$|nllloss_NCd1d2d3d4d5_none_no_weight_expanded|ref_impl_large"
)
"""Left out: they take as long as all others, which have the same operators at smaller sizes."""

ALIKE = re.compile("attention.*_expanded")
"""Dozens of graphs that are refused for the same product: every fifth is read."""


def fault_of(case: BackendCase) -> str | None:
    """What is wrong with the network of a case, or with its refusal; None if nothing is."""
    operators = {node.op_type for node in case.model.graph.node}
    try:
        network = load_onnx(case.model)
    except RelugradError as error:
        allowed = EXCEPTIONS if operators <= READ else JUST
        if any(re.search(reason, str(error)) for reason in allowed) or "FLOAT8" in case.name or "FLOAT4" in case.name:
            return None
        return f"{case.name}: {error}"
    rows = case.point.size // network.n_inputs
    point = case.point.astype(np.float64).reshape(rows, -1)
    expected = np.concatenate([output.astype(np.float64).reshape(rows, -1) for output in case.expected], axis=1)
    found = network.value(point) if np.isfinite(point).all() else expected
    if case.name in UNLIKE_ONNXRUNTIME or np.allclose(
        found, expected, rtol=2e-3, atol=2e-3 * _size(expected), equal_nan=True
    ):
        return None
    return f"{case.name}: the network's values differ"


def _size(values):
    return abs(values[np.isfinite(values)]).max(initial=1e-3)


def faults(cases):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the collection of the test cases divides by zero on purpose
        found = [(case, fault_of(case)) for case in cases]
    return len(found), [fault for _, fault in found if fault]


@pytest.mark.parametrize("kind", ["simple", "pytorch-operator", "pytorch-converted"])
def test_models(kind):
    count, found = faults(case for case in backend_cases([kind]) if not LARGE.search(case.name))
    assert not found
    assert count >= 10


def test_nodes():
    """Those of operators that are read, and a part of the others."""
    count, found = faults(_chosen_nodes())
    assert not found
    assert count > 300


@pytest.mark.slow
def test_all_other_nodes():
    chosen = {case.name for case in _chosen_nodes()}
    count, found = faults(case for case in _nodes() if case.name not in chosen)
    assert not found
    assert count + len(chosen) > 1000


@cache
def _nodes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in backend_cases(["node"]) if not LARGE.search(case.name)]
    alike = [case.name for case in cases if ALIKE.search(case.name)]
    left_out = {name for i, name in enumerate(alike) if i % 5}
    return [case for case in cases if case.name not in left_out]


def _chosen_nodes():
    cases = [case for case in _nodes() if not SLOW.search(case.name)]
    return [case for i, case in enumerate(cases) if _is_read(case) or i % 10 == 0]


def _is_read(case):
    return {node.op_type for node in case.model.graph.node} <= READ
