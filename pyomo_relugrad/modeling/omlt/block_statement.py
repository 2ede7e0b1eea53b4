"""The rows of a block of OMLT held against its network, layer by layer."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.errors import NotANetwork
from pyomo_relugrad.modeling.omlt import known_rows
from pyomo_relugrad.modeling.omlt.block_rows import COEFFICIENT_TOLERANCE, SINGLE_TOLERANCE, BlockReader, unfixed
from pyomo_relugrad.modeling.omlt.expressions import demand_activation, demand_layer_expressions
from pyomo_relugrad.modeling.omlt.layers import joined_weight
from pyomo_relugrad.modeling.omlt.network import OmltNetwork
from pyomo_relugrad.modeling.omlt.partition_rows import partition, written_partition
from pyomo_relugrad.modeling.omlt.ranges import activation_range, preactivation_ranges
from pyomo_relugrad.modeling.omlt.relu_rows import ROUNDING, LayerBlock, Quantities, big_m, maximum
from pyomo_relugrad.modeling.omlt.smooth_rows import SMOOTH_ROWS
from pyomo_relugrad.modeling.omlt.statement import Hidden, Level, Statement
from pyomo_relugrad.modeling.omlt.steps import MaximumStep
from pyomo_relugrad.network import Activation, Layer
from pyomo_relugrad.network.building import Affine

#: Names that OMLT and ``relugrad.omlt`` give to the constraints of affine maps.
AFFINE_ROWS = ("dense_layer", "convolutional_layer", "affine_layer")


def read_statement(block: Any, read: OmltNetwork, formulation: Any, parent: Any) -> Statement:
    """Hold the rows of a block against its network.

    Parameters
    ----------
    block : OmltBlock
    read : OmltNetwork
        Its network.
    formulation : NetworkFormulation or a formulation of OMLT
    parent : ReluNetworkBlockData or None
        The network block that ``relugrad.omlt`` expanded into this block.

    Raises
    ------
    NotANetwork
        If the rows do not state the network; says why.
    """
    reader = BlockReader()
    own = [reader.variables(block, "inputs", read.network.n_inputs)]
    own.append(reader.variables(block, "outputs", read.network.n_outputs))
    inputs, outputs = own if parent is None else (list(parent.inputs.values()), list(parent.outputs.values()))
    statement = Statement(
        name=block.name if parent is None else parent.name,
        read=read,
        inputs=inputs,
        outputs=outputs,
        rounding=ROUNDING[np.dtype(np.float32 if read.is_single else np.float64)],
    )
    reading = _Reading(block, statement, reader, is_expansion=parent is not None)
    reading.find_levels()
    ranges = preactivation_ranges(statement, formulation)
    with unfixed(block):
        reading.read_levels(ranges[0])
        for position, zhat in enumerate(ranges[1:], start=1):
            reading.read_layer(position, zhat)
        reading.read_outputs()
    _demand_binaries(statement)
    return statement


def _demand_binaries(statement: Statement) -> None:
    """Refuse a block whose binaries may be something else than 0 or 1."""
    for _, neurons in statement.neurons:
        for auxiliaries in neurons.auxiliaries:
            for variable in auxiliaries.variables if auxiliaries.is_binary else ():
                if variable.fixed and variable.value not in (0, 1, None):
                    raise NotANetwork(f"its binary '{variable.name}' is fixed at {variable.value}")
                low, high = variable.bounds
                inside = low is not None and high is not None and low >= 0 and high <= 1
                if not (variable.fixed or (variable.is_integer() and inside)):
                    raise NotANetwork(f"its binary '{variable.name}' is relaxed")


class _Reading:
    """Fills a `Statement` from the components of a block, those of the inputs first."""

    def __init__(self, block: Any, statement: Statement, reader: BlockReader, is_expansion: bool) -> None:
        self.block = block
        self.statement = statement
        self.reader = reader
        self.network = statement.read
        self.is_expansion = is_expansion
        self.z: list[Quantities] = []
        layers = block.component("layer")
        if layers is None or layers.ctype is not pyo.Block or len(layers) != len(self.network.z):
            raise NotANetwork("its layers are not those that OMLT built")
        self.layers = list(layers.values())

    def find_levels(self) -> None:
        """Find the variables that repeat the inputs."""
        n, levels = len(self.statement.inputs), self.statement.levels
        if self.is_expansion:
            levels.append(Level(self.reader.variables(self.block, "inputs", n), (), is_scaled=False))
        levels.append(Level(self.reader.variables(self.block, "scaled_inputs", n), (), is_scaled=True))
        first = self.layers[0].component("z")
        if first is None or first.ctype is not pyo.Expression:
            levels.append(Level(self.reader.variables(self.layers[0], "z", n), (), is_scaled=True))
        elif [id(data.expr) for data in first.values()] != [id(variable) for variable in levels[-1].variables]:
            raise NotANetwork(f"'{first.name}' is not the scaled inputs any more")

    def read_levels(self, bounds: tuple[Array, Array]) -> None:
        """Read the rows that tie each level to the one before, `bounds` being those of the scaled inputs."""
        levels, scaling = self.statement.levels, self.network.scaling
        names = (*(["link_inputs"] if self.is_expansion else []), "_scale_input_constraint", "input_assignment")
        before = self.reader.columns(self.statement.inputs)
        for number, (level, name) in enumerate(zip(levels, names, strict=False)):
            columns, slope, shift = self.reader.columns(level.variables), np.ones(before.size), np.zeros(before.size)
            if name == "_scale_input_constraint" and scaling is not None:
                slope, shift = 1 / scaling.input_factor, -scaling.input_offset / scaling.input_factor
            levels[number] = Level(level.variables, self._tied(name, columns, before, slope, shift), level.is_scaled)
            before = columns
        self.z.append(Quantities(before, *bounds))

    def read_layer(self, position: int, bounds: tuple[Array, Array]) -> None:
        """Read what states one layer, `bounds` being those of its pre-activations."""
        block, step = self.layers[position], self.network.steps[position - 1]
        if getattr(block.component("z"), "ctype", None) is pyo.Expression:
            sources = [self._reduced_activations(source) for source in range(position)]
            demand_layer_expressions(block, step, sources, np.array(bounds))
            self.z.append(Quantities(np.zeros(0, np.int64), *activation_range(step, bounds)))
            return
        layer = self._layer_block(position, bounds)
        self.z.append(layer.z)
        if block.component("output_node_block") is not None:
            self.statement.neurons.append((position, partition(layer)))
            self.statement.unused.append((position, self.reader.variables(block, "zhat")))
            self._hide(position, "z", block, layer.z)
            return
        self._hide(position, "zhat", block, layer.zhat)
        self._hide(position, "z", block, layer.z)
        if block.component("z1") is not None:
            self.statement.neurons.append((position, written_partition(layer)))
        elif isinstance(step, MaximumStep):
            self.statement.neurons.append((position, maximum(layer, step.windows)))
            self._read_activation(position, layer)
        else:
            self._read_affine_rows(layer, step.affine)
            self._read_activation(position, layer)

    def _reduced_activations(self, position: int) -> list[Any]:
        return self.statement.levels[-1].variables if position == 0 else list(self.layers[position].z.values())

    def _layer_block(self, position: int, bounds: tuple[Array, Array]) -> LayerBlock:
        block, step = self.layers[position], self.network.steps[position - 1]
        width = bounds[0].size
        zhat, z = (self.reader.variables(block, name, width) for name in ("zhat", "z"))
        sources = [self.z[source] for source in step.sources]
        return LayerBlock(
            reader=self.reader,
            block=block,
            zhat=Quantities(self.reader.columns(zhat), *bounds),
            z=Quantities(self.reader.columns(z), *activation_range(step, bounds)),
            sources=Quantities.joined(sources),
            weight=np.zeros((width, 0)) if isinstance(step, MaximumStep) else joined_weight(step.affine),
            bias=np.zeros(width) if isinstance(step, MaximumStep) else step.affine.bias,
            rounding=self.statement.rounding,
        )

    def _read_affine_rows(self, layer: LayerBlock, affine: Layer) -> None:
        """``zhat == weight @ sources + bias``."""
        name = next((name for name in AFFINE_ROWS if layer.block.component(name) is not None), AFFINE_ROWS[0])
        constraints = self.reader.constraints(layer.block, name, layer.width)
        variables = self.reader.variables_of(np.concatenate([layer.zhat.columns, layer.sources.columns]))
        if not known_rows.are_known(layer.block, affine, variables, constraints):
            rows = self.reader.rows(constraints).normalised(layer.zhat.columns)
            rows.demand_equal(layer.sources.columns, -layer.weight)
            rows.demand_sides(layer.bias, layer.bias)
            known_rows.remember(layer.block, affine, variables, constraints)
        self.statement.definitions += constraints

    def _read_activation(self, position: int, layer: LayerBlock) -> None:
        """``z == zhat`` or ``z == relu(zhat)``, or another activation."""
        block, activation = layer.block, self.network.steps[position - 1].activation
        if activation is not None and not activation.is_piecewise_linear:
            self._read_smooth_activation(layer, activation)
        elif activation is None:
            rows = self.reader.read(block, "linear_activation", layer.z.columns)
            rows.demand(rows.only(layer.zhat.columns)[0] == -1.0)
            rows.demand_sides(0.0, 0.0)
            self.statement.definitions += rows.constraints
        elif block.component("_complementarity") is not None:
            self._read_complementarity(position, layer)
        elif block.component("q_relu") is not None:
            self.statement.neurons.append((position, big_m(layer)))
        else:
            raise NotANetwork(f"'{block.name}' states a ReLU in a way that relugrad does not know")

    def _read_smooth_activation(self, layer: LayerBlock, activation: Activation) -> None:
        """``z == f(zhat)``, whichever way the function is written."""
        rows = self.reader.constraints(layer.block, SMOOTH_ROWS, layer.width)
        zhat, z = (self.reader.variables_of(own.columns) for own in (layer.zhat, layer.z))
        ranges = np.stack([layer.zhat.lower, layer.zhat.upper], axis=1)
        for row, before, after, bounds in zip(rows, zhat, z, ranges, strict=True):
            sides = list(row.expr.args) if row.equality else []
            if len(sides) != 2 or sides[0] is not after:
                raise NotANetwork(f"its constraint '{row.name}' is not the one that OMLT built")
            demand_activation(sides[1], before, activation, bounds)
        self.statement.definitions += rows

    def _read_complementarity(self, position: int, layer: LayerBlock) -> None:
        """``z >= 0``, ``v == z - zhat``, ``v >= 0`` and ``z * v <= 0``, as Pyomo writes complementarity conditions."""
        conditions, reader = list(layer.block.component("_complementarity").values()), self.reader
        slacks = [variable for condition in conditions for variable in reader.variables(condition, "v", 1)]
        v, z = reader.columns(slacks), layer.z.columns

        def listed(name: str) -> list[Any]:
            return [constraint for condition in conditions for constraint in reader.constraints(condition, name, 1)]

        above_zero = reader.rows(listed("c")).normalised(z)
        above_zero.only()
        above_zero.demand_sides(0.0, np.inf)
        slack = reader.rows(listed("ve")).normalised(v)
        of_z, of_zhat = slack.only(z, layer.zhat.columns)
        slack.demand((of_z == -1.0) & (of_zhat == 1.0))
        slack.demand_sides(0.0, 0.0)
        products = listed("ccon")
        for product, activation, variable in zip(products, layer.block.z.values(), slacks, strict=True):
            _demand_product(product, activation, variable)
        self.statement.definitions += [*above_zero.constraints, *slack.constraints, *products]
        low, high = layer.zhat.lower, layer.zhat.upper
        tensor = self.network.z[position].minus(self.network.zhat[position])
        self.statement.hidden.append(Hidden(slacks, position, "slack", tensor, (-high).clip(min=0), (-low).clip(min=0)))

    def read_outputs(self) -> None:
        """Read the rows that tie the outputs to the last layer."""
        n, scaling, last = len(self.statement.outputs), self.network.scaling, len(self.layers) - 1
        one, zero = np.ones(n), np.zeros(n)
        slope, shift = (one, zero) if scaling is None else (scaling.output_factor, scaling.output_offset)
        scaled, outputs = (
            self.reader.columns(self.reader.variables(self.block, name, n)) for name in ("scaled_outputs", "outputs")
        )
        self._hide(last, "z", self.block, self.z[last], "scaled_outputs")
        rows = [self._tied("_scale_output_constraint", outputs, scaled, slope, shift)]
        if self.z[last].columns.size:
            rows.append(self._tied("output_assignment", scaled, self.z[last].columns, one, zero))
        else:
            rows.append(self._reduced_outputs(last))
        if self.is_expansion:
            self._hide(last, "z", self.block, self.z[last], "outputs")
            rows.append(self._tied("link_outputs", self.reader.columns(self.statement.outputs), outputs, one, zero))
        self.statement.definitions += chain.from_iterable(rows)

    def _reduced_outputs(self, last: int) -> list[Any]:
        """Rows that set the scaled outputs equal to the last layer's expressions."""
        rows = self.reader.constraints(self.block, "output_assignment", len(self.statement.outputs))
        pairs = zip(self.block.scaled_outputs.values(), self.layers[last].z.values(), strict=True)
        for row, (variable, value) in zip(rows, pairs, strict=True):
            sides = list(row.expr.args) if row.equality else []
            if len(sides) != 2 or sides[0] is not variable or sides[1] is not value:
                raise NotANetwork(f"its constraint '{row.name}' is not the one that OMLT built")
        return rows

    def _tied(self, name: str, columns: Array, before: Array, slope: Array, shift: Array) -> Sequence[Any]:
        """Rows ``column == slope * before + shift``."""
        tolerance = SINGLE_TOLERANCE if self.network.is_single else COEFFICIENT_TOLERANCE
        rows = self.reader.read(self.block, name, columns)
        rows.demand_close(rows.only(before)[0], -slope, tolerance)
        rows.demand_sides(shift, shift, tolerance)
        return rows.constraints

    def _hide(self, position: int, kind: str, block: Any, values: Quantities, name: str | None = None) -> None:
        tensor: Affine = getattr(self.network, kind)[position]
        variables = list(block.component(name or kind).values())
        self.statement.hidden.append(Hidden(variables, position, kind, tensor, values.lower, values.upper))


def _demand_product(constraint: Any, first: Any, second: Any) -> None:
    """Refuse a constraint that is not ``first * second <= 0``."""
    low, body, high = constraint.to_bounded_expression(evaluate_bounds=True)
    form = generate_standard_repn(body, quadratic=True)
    is_product = (
        low is None
        and high is not None
        and high - form.constant == 0
        and form.nonlinear_expr is None
        and not form.linear_vars
        and [float(c) for c in form.quadratic_coefs] == [1.0]
        and {id(variable) for variable in form.quadratic_vars[0]} == {id(first), id(second)}
    )
    if not is_product:
        raise NotANetwork(f"its constraint '{constraint.name}' is not the one that OMLT built")
