"""`ReluNetworkBlock`: a trained network as a block of a Pyomo model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pyomo.core.base.block import BlockData

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import refuse_unknown
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block.data import ReluNetworkBlockData
from pyomo_relugrad.modeling.block.keywords import KeywordBlock, KeywordRule, is_rule
from pyomo_relugrad.modeling.block.tables import (
    at_index,
    frame_of,
    index_parts,
    is_frame,
    is_index,
    is_series_or_component,
    keys_by_start,
    row_entries,
    row_of,
)
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.sources import is_model, load_network

__all__ = ["ReluNetworkBlock", "ReluNetworkBlockData", "refresh_output_bounds", "unexpanded_blocks"]


class ReluNetworkBlock(KeywordBlock, data=ReluNetworkBlockData):
    """A trained ReLU network inside a Pyomo model: ``outputs == network(inputs)``.

    The network stays a function: ``SolverFactory("relugrad")`` searches with its values and derivatives, and
    ``TransformationFactory("relugrad.omlt")`` turns it into constraints for other solvers. Until then these refuse
    the model. A deactivated block drops out of the model, and its outputs become ordinary variables.

    Parameters
    ----------
    *args
        Index sets, as for `Block`.
    network : Network, path, bytes, onnx.ModelProto, torch.nn.Module, Keras model or scikit-learn estimator
        See `pyomo_relugrad.load_network`.
    inputs : variables or expressions, optional
        In the order of the network's inputs, flattened row by row: an indexed `Var` or `Reference`, a slice, a
        sequence, a series, or a mapping whose keys are positions ``0..n-1``, names of the file's input tensors, or
        pairs (name, index). For an indexed block also a data frame whose rows have the block's index, or a mapping
        from names to series, variables and numbers, such as ``{**frame, "price": m.price}``; of a component or
        series whose keys begin with the block's index, such as ``m.x[t, name]``, each block has its own. A categorical
        input (`Network.choices`) is given as a category, or as a mapping from categories to binary variables. None
        stands for variables of the block. Where the network's inputs have names, keys that are text count by name
        whatever their order, of components, slices and series too. Expressions and numbers get a variable of the
        block and an equality row. Default: variables of the block.
    outputs : variables or expressions, optional
        Likewise. Variables of the block get interval bounds, variables of the user are left as they are.
    input_bounds : pair, sequence of pairs, mapping or data frame, optional
        (lower, upper) in the units of `inputs`, not scaled: numbers or mutable parameters, whose later values hold;
        None is no bound. Of a data frame the rows, or columns, ``lower`` and ``upper`` or ``min`` and ``max`` are
        taken, as ``frame.describe()`` has them. They become bounds of variables of the block, and rows over variables
        of the user, whose own bounds hold as well.
    scaling : omlt.OffsetScaling or mapping, optional
        The network computes in ``(value - offset) / factor``; a mapping is
        ``{"inputs": (offset, factor), "outputs": (offset, factor)}``, numbers or one number per entry.
    **kwargs
        As for `Block`: `rule`, `name`, `doc`, `concrete`.

    Notes
    -----
    Whatever the index sets of the variables, ``inputs`` and ``outputs`` of the block count from 0, in the order of the
    network. Its `Network.input_names` and `Network.output_names` come from the data frame that a scikit-learn estimator
    was fitted on, from a file's tensors of one number each, or from `Network.with_names`. Keys that are text, but not
    exactly these names, are refused. For a network without names a component, slice or series is taken in its order
    whatever its keys.

    On an indexed block each argument may be a function ``f(parent, *index)`` or a mapping by the block's index;
    anything else, and for a scalar block any mapping, holds as it is. The other way is Pyomo's `rule`, which calls
    `ReluNetworkBlockData.build`.

    Raises
    ------
    ModelError
        If an argument does not fit the network.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(["width", "height"], bounds=(0, 1))
    >>> m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    >>> m.nn.inputs[1].name, round(m.nn.outputs[0].lb, 6), round(m.nn.outputs[0].ub, 6)
    ('x[height]', 1.0, 4.0)
    >>> m.n = ReluNetworkBlock([1, 2], network=network, inputs={1: m.x, 2: [m.x["height"], 0.5 * m.x["width"]]})
    >>> m.k = ReluNetworkBlock([1, 2], rule=lambda b, k: b.build(network, inputs=[m.x["width"], k]))
    """

    def __init__(
        self,
        *args: Any,
        network: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        input_bounds: Any = None,
        scaling: Any = None,
        **kwargs: Any,
    ) -> None:
        given = {
            "network": network,
            "inputs": inputs,
            "outputs": outputs,
            "input_bounds": input_bounds,
            "scaling": scaling,
        }
        if any(isinstance(arg, Network) or is_model(arg) for arg in args):
            raise ModelError(
                "ReluNetworkBlock was given a network by position, where index sets stand: give it by name, network=..."
            )
        if network is not None and kwargs.get("rule") is not None:
            raise ModelError(
                "ReluNetworkBlock takes network or rule, not both: give the network to build() in the rule"
            )
        if network is not None:
            kwargs["rule"] = _NetworkRule(given)
        elif any(argument is not None for argument in given.values()):
            raise ModelError("ReluNetworkBlock has inputs or outputs, but no network: give network=...")
        super().__init__(*(arg.tolist() if is_index(arg) else arg for arg in args), **kwargs)

    def input_frame(self) -> Any:
        """Values of the inputs as a pandas data frame: a row for each block, a column for each input or category."""
        return frame_of(self, "inputs")

    def output_frame(self) -> Any:
        """Values of the outputs as a pandas data frame: a row for each block, a column for each output."""
        return frame_of(self, "outputs")


class _NetworkRule(KeywordRule):
    """Builds the network at each index. Modules and models are read at once: they can change, and be called."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        network = given["network"]
        if is_model(network):
            network = load_network(network)
        elif isinstance(network, Mapping):
            network = {index: load_network(one) if is_model(one) else one for index, one in network.items()}
        super().__init__("network block", {**given, "network": network})
        self._keys: dict[str, dict[Any, list[Any]]] = {}

    def __call__(self, block: ReluNetworkBlockData, *_: Any, **unknown: Any) -> None:
        refuse_unknown(unknown, "ReluNetworkBlock", self.given, ", and those of a Block")
        if not is_rule(self.given["network"]) and not isinstance(self.given["network"], Mapping):
            self.given["network"] = load_network(self.given["network"])  # once, so that all indices share it
        block.build(**{name: self.argument(name, block) for name in self.given})

    def argument(self, name: str, block: ReluNetworkBlockData) -> Any:
        """As of any block; of inputs and outputs also the row of a data frame, or the entries of indexed parts."""
        given = self.given[name]
        if name not in ("inputs", "outputs"):
            return super().argument(name, block)
        index = block.index() if block.parent_component().is_indexed() else None
        if index is not None and is_series_or_component(given):
            return self._row(name, index, block)
        if not (is_frame(given) or isinstance(given, Mapping)):
            return super().argument(name, block)
        if not is_frame(given) and (index is None or index in given):
            return super().argument(name, block)
        names = self._names(name, block)
        try:
            if is_frame(given):
                return row_of(given, index, names)
            by_name = at_index(given, index, names, name.removesuffix("s"))
        except ModelError as error:
            raise ModelError(f"network block '{block.name}', {name}: {error}") from None
        return super().argument(name, block) if by_name is None else by_name

    def _names(self, name: str, block: ReluNetworkBlockData) -> tuple[str, ...]:
        """Names of the columns of a table of the network's inputs or outputs."""
        network = self._network(block)
        return network.column_names if name == "inputs" else network.output_names

    def _row(self, name: str, index: Any, block: ReluNetworkBlockData) -> Any:
        """Entries of a component or series that are this block's; all of them where they are as many as it needs."""
        given, network = self.given[name], self._network(block)
        size = network.n_inputs if name == "inputs" else network.n_outputs
        start = index_parts(index)
        if len(given) == size:
            return given
        keys = self._keys.get(name, {}).get(start, ())
        if not keys or any(key not in given for key in keys):  # the index sets have grown or shrunk
            self._keys[name] = keys_by_start(given, len(start))
            keys = self._keys[name].get(start, ())
        if len(keys) > 1 or len(keys) == size:
            return row_entries(given, keys, len(start), self._names(name, block))
        indices = block.parent_component().index_set()
        if not keys and indices.isfinite() and any(len(self._keys[name].get(index_parts(k), ())) > 1 for k in indices):
            raise ModelError(
                f"network block '{block.name}', {name}: what was given has entries at other indices of the block, and "
                f"none at {index!r}: add them"
            )
        return given

    def _network(self, block: ReluNetworkBlockData) -> Network:
        return load_network(super().argument("network", block))

    def is_by_index(self, name: str, given: Any) -> bool:
        """Tell a scaling by its own keys from one by index."""
        return super().is_by_index(name, given) and not (name == "scaling" and {"inputs", "outputs"} & set(given))


def unexpanded_blocks(model: BlockData) -> Iterator[ReluNetworkBlockData]:
    """Active network blocks of a model, itself included, that are not expanded; in order of declaration."""
    yield from unexpanded_among(model.block_data_objects(active=True, descend_into=True))


def unexpanded_among(blocks: Iterable[BlockData]) -> Iterator[ReluNetworkBlockData]:
    """Network blocks among these that are not expanded."""
    for block in blocks:
        if isinstance(block, ReluNetworkBlockData) and block.is_built and not block.is_expanded:
            yield block


def refresh_output_bounds(
    blocks: Sequence[ReluNetworkBlockData], box: Callable[[Any], tuple[Array, Array]] | None = None
) -> None:
    """Bring the bounds that blocks derived for their outputs up to date: those of the inputs may have been changed.

    Repeated until blocks that feed each other agree.

    Parameters
    ----------
    blocks : sequence of ReluNetworkBlockData
        Blocks whose equations are as they were built.
    box : callable, optional
        From a block to the bounds (n_inputs,) of its inputs; see `ReluNetworkBlockData.refresh_output_bounds`.
    """
    deriving = [block for block in blocks if block._derived_bounds]
    for _ in deriving:
        changed = [block.refresh_output_bounds(None if box is None else box(block)) for block in deriving]
        if not any(changed):
            return
