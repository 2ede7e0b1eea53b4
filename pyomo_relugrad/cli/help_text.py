"""What ``relugrad --help`` and ``relugrad COMMAND --help`` teach."""

DESCRIPTION = "Optimize over trained ReLU networks in ONNX files."

EXAMPLES = """\
examples:
  relugrad info surrogate.onnx                              what is in the file, and how hard it is
  relugrad maximize surrogate.onnx --lower 0 --upper 1      the inputs in a box with the largest output
  relugrad minimize digits.onnx --output 3 --lower lower.npy --upper upper.npy --save image.npy
  relugrad maximize surrogate.onnx --lower=-1,0,0 --upper 2,1,1 --exact --time-limit 60
  relugrad falsify controller.onnx property.vnnlib          an input that breaks a property
  relugrad bench surrogate.onnx --lower 0 --upper 1         which method is best for this network

'relugrad COMMAND --help' tells more about each command.

exit codes:
"""

BOX = """\
A bound is a number for all inputs, numbers with commas between them, or a .npy or .csv file of them.
"""

INFO = """\
Show the inputs and outputs of a network, what its file was read into, how large its layers are, and, over a box of
inputs, which ReLUs are stable: always active or never, so that no solver has to decide them.

example:
  relugrad info digits.onnx --lower 0 --upper 1
"""

OPTIMIZE = """\
Look for the inputs in a box with the {adjective} value of one output, or of a weighted sum of the outputs.

The search is local: it says how good its point is only where a bound is known. With --exact a proof follows, and the
answer is 'optimal' where it is proven. Ctrl-C ends both, and the best point so far is the answer.

examples:
  relugrad {command} surrogate.onnx --lower 0 --upper 1
  relugrad {command} digits.onnx --output 3 --lower lower.csv --upper upper.csv --save image.npy
  relugrad {command} digits.onnx --weights 0,0,0,1,0,0,0,0,-1,0 --lower 0 --upper 1 --json
  relugrad {command} surrogate.onnx --lower=-1,0,0 --upper 2,1,1 --exact --time-limit 60
"""

FALSIFY = """\
Look for a counterexample of a property: an input that satisfies the assertions of a VNN-LIB file.

It is checked in float64, without any tolerance. Where none is found (exit code 1) there may still be one.

example:
  relugrad falsify controller.onnx property.vnnlib --time-limit 30 --save input.npy
"""

BENCH = """\
Compare the search methods, each for the same time: on a network of yours over a box, or on random networks.

examples:
  relugrad bench
  relugrad bench surrogate.onnx --lower 0 --upper 1 --time-limit 5 --method auto --method lp-walk
"""
