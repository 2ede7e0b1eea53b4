"""The block that keeps variables of a Pyomo model where the data are."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData
from pyomo.core.base.component import Component
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.set import Binary
from pyomo.core.base.var import Var
from pyomo.core.expr.numeric_expr import LinearExpression
from pyomo.core.util import quicksum

from pyomo_relugrad.arrays import ArrayLike
from pyomo_relugrad.checks import check_number, refuse_unknown
from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.modeling.block.arguments import listed_terms, resolve_terms
from pyomo_relugrad.modeling.block.entries import Entries
from pyomo_relugrad.modeling.block.keywords import KeywordBlock, KeywordRule
from pyomo_relugrad.modeling.block.units import without_unit
from pyomo_relugrad.modeling.data_hull.hulls import MAX_POINTS, Hulls
from pyomo_relugrad.network import Network, column_names, encoded
from pyomo_relugrad.words import listed


class DataHullData(BlockData):
    """One hull of a `DataHull`.

    Attributes
    ----------
    weights : Var
        The convex combination's weights, by row number of the data: only rows that are vertices have one.
    combination : Constraint
        Each input is the combination of the vertices, both sides measured from the middle of the data's column and
        divided by its range; within `margin`.
    convexity : Constraint
        The weights sum to one. With clusters, by label: they sum to one in the active cluster and to zero in others.
    active_cluster : Var
        With clusters: binary, by label.
    one_cluster : Constraint
        With clusters: exactly one is active.
    """

    def __init__(self, component: Component) -> None:
        super().__init__(component)
        self._hulls: Hulls | None = None

    def build(
        self,
        inputs: Any,
        data: ArrayLike | Hulls,
        clusters: Any = None,
        margin: float = 0.0,
        max_points: int | None = MAX_POINTS,
    ) -> None:
        """Add the variables and rows; for rules of an indexed block.

        The parameters are those of `DataHull`. `data` may also be `Hulls`, so that blocks share one reduction.

        Raises
        ------
        ModelError
            If the block has a hull already, or an argument does not fit; names the block.
        """
        if self._hulls is not None:
            raise ModelError(f"data hull '{self.name}' is built already: make another one")
        try:
            hulls = data if isinstance(data, Hulls) else Hulls.of(_in_order(data, inputs), clusters, max_points)
            terms = _terms(inputs, hulls)
            check_number(margin, "the margin", "a finite number of 0 or more", lambda given: 0.0 <= given < np.inf)
        except ModelError as error:
            raise ModelError(f"data hull '{self.name}': {error}") from error
        self._hulls = hulls
        with PauseGC():
            self._add_weights(hulls)
            self._add_combination(hulls, terms, float(margin))

    def _add_weights(self, hulls: Hulls) -> None:
        rows, labels = hulls.rows.tolist(), hulls.clusters.tolist()
        names = sorted(set(labels))
        self.weights = Var(rows, bounds=(0, 1))
        if len(names) == 1:
            self.convexity = Constraint(expr=quicksum(self.weights.values()) == 1)
            return
        self.active_cluster = Var(names, domain=Binary)
        self.one_cluster = Constraint(expr=quicksum(self.active_cluster.values()) == 1)
        self.convexity = Constraint(names)
        for name in names:
            members = [self.weights[row] for row, label in zip(rows, labels, strict=True) if label == name]
            self.convexity[name] = quicksum(members) == self.active_cluster[name]

    def _add_combination(self, hulls: Hulls, terms: list[Any], margin: float) -> None:
        scaled = (hulls.points - hulls.centre) / hulls.range
        weights = list(self.weights.values())
        self.combination = Constraint(range(len(terms)))
        for position, term in enumerate(terms):
            combined = LinearExpression(linear_coefs=(-scaled[:, position]).tolist(), linear_vars=weights)
            middle, width = float(hulls.centre[position]), float(hulls.range[position])
            gap = combined + without_unit(term) / width
            target = middle / width
            self.combination[position] = (target - margin, gap, target + margin) if margin else gap == target

    @property
    def hulls(self) -> Hulls:
        """The points that span the region, and which rows of the data they are."""
        if self._hulls is None:
            raise ModelError(f"data hull '{self.name}' is not built yet: call build(inputs, data)")
        return self._hulls


class DataHull(KeywordBlock, data=DataHullData):
    """Keep variables in the convex hull of data, or in one of the hulls of its clusters.

    A network knows its training data and guesses elsewhere; an optimizer goes where the guess is best. In the hull of
    the data it cannot leave what the network has seen (the trust region of D. Maragno et al., Mixed-integer
    optimization with constraint learning, Operations Research 2023). The block consists of ordinary variables and
    linear rows, so every solver understands it.

    Parameters
    ----------
    *args
        Index sets, as for `Block`.
    inputs : variables or expressions
        One per column of the data: an indexed `Var` or `Reference`, a slice, a sequence, or a mapping; ``nn.inputs``
        of a network block too. Where the data are a frame whose columns have names, keys that are these names count,
        in any order; positions and sequences are in the order of the columns. A network block stands for its inputs:
        then the columns of a frame go by the names of these, and may hold categories.
    data : (n_rows, n_inputs) array or data frame
        The inputs that the network was trained on, in the units of `inputs`.
    clusters : int or (n_rows,) labels, optional
        Stay in the hull of one cluster, so that gaps between clusters are avoided as well; this adds a binary
        variable per cluster. Labels are those of a clustering, such as scikit-learn's ``fit_predict``: integers or
        strings, with rows labelled -1 as noise that is left out. A number asks for that many clusters by k-means.
    margin : float, optional
        Share of each column's range by which the inputs may leave the hull. Default 0.
    max_points : int or None, optional
        Rows of the data, per cluster, that become columns of the model. Only vertices of the hull do; where there are
        more of them, as in most data with over six columns, a hull of `max_points` vertices far apart from each other
        takes its place. It lies inside the hull of the data, so nothing new is let in; ``hulls.is_exact`` tells.
        Default 500; None keeps all vertices.
    **kwargs
        As for `Block`: `rule`, `name`, `doc`, `concrete`.

    Notes
    -----
    Rows that are no vertices are found exactly: by Qhull in up to five dimensions, by linear programs beyond. On an
    indexed block `inputs` may be a function ``f(parent, *index)`` or a mapping by the block's index; the data are
    reduced once. The other way is Pyomo's `rule`, which calls `DataHullData.build`.

    Raises
    ------
    ModelError
        If shapes do not fit, or the data have NaN or infinite entries.

    Examples
    --------
    >>> import numpy as np
    >>> import pyomo.environ as pyo
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(["temperature", "pressure"])
    >>> m.hull = DataHull(inputs=m.x, data=[[300, 1.0], [350, 1.5], [400, 2.5], [340, 1.6]])
    >>> list(m.hull.weights)
    [0, 1, 2]
    >>> m.o = pyo.Objective(expr=m.x["temperature"] - 100 * m.x["pressure"], sense=pyo.maximize)
    >>> results = pyo.SolverFactory("appsi_highs").solve(m)
    >>> round(m.x["temperature"].value, 6), round(m.x["pressure"].value, 6)
    (300.0, 1.0)
    """

    def __init__(
        self,
        *args: Any,
        inputs: Any = None,
        data: Any = None,
        clusters: Any = None,
        margin: float = 0.0,
        max_points: int | None = MAX_POINTS,
        **kwargs: Any,
    ) -> None:
        by_keywords = inputs is not None or data is not None
        if by_keywords and kwargs.get("rule") is not None:
            raise ModelError("DataHull takes inputs and data or rule, not both: give them to build() in the rule")
        if by_keywords and (inputs is None or data is None):
            missing = "inputs" if inputs is None else "data"
            raise ModelError(f"DataHull has no {missing}: give inputs=... and data=...")
        if by_keywords:
            kwargs["rule"] = _SharedReduction(
                inputs, data=data, clusters=clusters, margin=margin, max_points=max_points
            )
        super().__init__(*args, **kwargs)


class _SharedReduction(KeywordRule):
    """Reduces the data once for all indices."""

    def __init__(self, inputs: Any, **others: Any) -> None:
        super().__init__("data hull", {"inputs": inputs})
        self._others = others

    def __call__(self, block: DataHullData, *_: Any, **unknown: Any) -> None:
        refuse_unknown(unknown, "DataHull", ("inputs", *self._others), ", and those of a Block")
        block.build(self.argument("inputs", block), **self._others)
        self._others["data"] = block.hulls


def _in_order(data: Any, inputs: Any) -> Any:
    """A data frame as rows of a network block's inputs, with a number for each category; other data as they are."""
    network = getattr(inputs, "network", None)
    if not isinstance(network, Network) or not network.input_names:
        return data
    names = column_names(network.input_names, network.choices)
    if not hasattr(data, "columns"):
        if network.choices:
            raise ModelError(f"the network has categories: give the data as a frame with the columns {listed(names)}")
        return data
    missing = [name for name in names if name not in data.columns]
    if missing:
        raise ModelError(f"the data have no column {listed(missing)}: give the columns {listed(names)}")
    try:
        return encoded(data, network.input_names, network.choices)
    except (NetworkValueError, TypeError, ValueError) as error:
        raise ModelError(f"the data: {error}") from None


def _terms(inputs: Any, hulls: Hulls) -> list[Any]:
    """One variable or expression per column."""
    entries = Entries("input", hulls.points.shape[1], (), hulls.names, owner="data")
    if isinstance(getattr(inputs, "network", None), Network):
        inputs = inputs.inputs
    terms = [inputs] if isinstance(inputs, BlockData) else listed_terms(inputs, entries)
    if len(terms) != entries.size:
        raise ModelError(
            f"the data have {entries.size} columns, but {len(terms)} inputs were given: give an input for each column"
        )
    if any(term is None for term in terms):
        raise ModelError("an input of the hull is None: give a variable, an expression or a number for each column")
    return resolve_terms(terms, entries)
