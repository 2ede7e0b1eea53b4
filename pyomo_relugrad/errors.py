"""The errors of pyomo_relugrad, one base class over all of them.

Each also derives from the built-in exception that callers would expect, so that ``except ValueError`` and
``except FileNotFoundError`` work as usual. Errors that also are Pyomo's own stand in `modeling.errors`.
"""


class RelugradError(Exception):
    """Base class of every error that pyomo_relugrad raises on purpose."""


class NetworkFileError(RelugradError, ValueError):
    """A network file that cannot be read: corrupt, truncated, inconsistent or unsafe."""


class NetworkFileNotFoundError(NetworkFileError, FileNotFoundError):
    """A network file that does not exist."""


class UnsupportedOperatorError(RelugradError, ValueError):
    """A node of an ONNX graph that is not piecewise linear, or not in a form that can be read.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    node : str
        Name of the node, or of its first output where the node has no name.
    operator : str
        The node's operator, such as ``"Sigmoid"``.
    """

    def __init__(self, message: str, node: str = "", operator: str = "") -> None:
        super().__init__(message)
        self.node = node
        self.operator = operator

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (str(self), self.node, self.operator)


class NetworkValueError(RelugradError, ValueError):
    """Weights, biases or points of the wrong shape, or with NaN or infinite entries."""


class NetworkMismatchError(RelugradError, ValueError):
    """A network that does not have the values of the file, module or estimator that it was read from."""


class ModelError(RelugradError, ValueError):
    """A model that cannot be handled as it stands: a missing bound, a wrong input count, an unknown option."""


class UnknownArgumentError(ModelError, TypeError):
    """A keyword that a function or a block does not have."""


class InfeasibleProblemError(ModelError):
    """A problem that is seen to have no feasible point before any search; the message names a column or row."""


class PropertyFileError(RelugradError, ValueError):
    """A property file (``.vnnlib``) that cannot be read, or says what this package cannot take."""


class MissingPackageError(RelugradError, ImportError):
    """An optional package that is needed for what was asked is not installed."""
