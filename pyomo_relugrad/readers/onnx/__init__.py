"""ONNX files as networks. The only package that imports onnx.

A graph is read once, in topological order, and every tensor becomes a constant or an affine function of the network's
input and of the hidden layers met so far (`affine`). An operator is a rule from such values to such values:
`arithmetic`, `movement` of elements, `convolution` (sums over windows), `resize`, `affine_operators` for what is affine
otherwise; `piecewise_linear`, `maximum` and `comparison` add hidden layers. No other package knows an operator.
"""

from pyomo_relugrad.readers.onnx.load import load_onnx

__all__ = ["load_onnx"]
