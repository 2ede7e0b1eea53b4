"""ONNX files as networks. The only room that imports onnx.

A graph is walked once, in topological order, and every tensor becomes a constant or an affine function of the network's
input and of the hidden layers met so far (`affine`). An operator is a rule from such values to such values:
`arithmetic`, `movement` of elements, `convolution` (sums over windows), `resize`, `by_evaluation` for what is affine
otherwise; `piecewise_linear`, `maximum` and `comparison` add hidden layers. No other room knows an operator.
"""

from pyomo_relugrad.readers.onnx.load import load_onnx

__all__ = ["load_onnx"]
