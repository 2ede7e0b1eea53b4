"""The objective of a Pyomo model as arrays: linear, or convex quadratic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pyomo.core.base.objective import ObjectiveSense
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.expressions import standard_form
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls
from pyomo_relugrad.modeling.errors import IncompatibleModel

#: How far, relative to the largest entry, an eigenvalue of a convex quadratic part may be below zero by rounding.
CONVEXITY_TOLERANCE = 1e-9

#: Size up to which a connected part of the quadratic part is factorised as a dense matrix.
DENSE_SIZE = 2000


@dataclass(frozen=True, eq=False)
class CompiledObjective:
    """``coefficients @ v[columns] + sum(q * v[i] * v[j]) + constant``, to be minimized."""

    name: str
    columns: Array
    coefficients: Array
    quadratic: tuple[Array, Array, Array]
    constant: float
    maximize: bool

    def cost(self, n_columns: int) -> Array:
        """Linear coefficients (n,)."""
        cost = np.zeros(n_columns)
        np.add.at(cost, self.columns, self.coefficients)
        return cost

    def matrix(self, n_columns: int) -> Weight | None:
        """Symmetric (n, n) matrix ``Q`` of ``v @ Q @ v / 2``, None where there is no quadratic part.

        Raises
        ------
        IncompatibleModel
            If it is not positive semidefinite.
        """
        first, second, coefficient = self.quadratic
        if not coefficient.any():
            return None
        half = sparse.coo_array((coefficient, (first, second)), shape=(n_columns, n_columns))
        matrix = sparse.csr_array(half + half.T)
        if not is_positive_semidefinite(matrix):
            able = "maximizes concave" if self.maximize else "minimizes convex"
            raise IncompatibleModel(
                f"objective '{self.name}' is quadratic but not {able.split()[1]}: relugrad {able} quadratic objectives "
                "only"
            )
        return matrix


def compile_objective(objective: Any, columns: Columns, networks: NetworkCalls) -> CompiledObjective:
    """Read an objective; `networks` collects the networks in it.

    Raises
    ------
    IncompatibleModel
        If it is neither linear nor quadratic; names it.
    """
    if objective is None:
        nothing = np.zeros(0, np.int64)
        return CompiledObjective("", nothing, np.zeros(0), (nothing, nothing, np.zeros(0)), 0.0, False)
    repn = standard_form(objective, objective.expr, quadratic=True, networks=networks)
    if repn.nonlinear_expr is not None:
        raise IncompatibleModel(
            f"objective '{objective.name}' is not linear or quadratic: relugrad minimizes linear and convex quadratic "
            "objectives over networks and linear constraints"
        )
    maximize = objective.sense == ObjectiveSense.maximize
    sign = -1.0 if maximize else 1.0
    pairs = repn.quadratic_vars
    columns.note_idle(objective.expr, (*repn.linear_vars, *(variable for pair in pairs for variable in pair)))
    return CompiledObjective(
        name=objective.name,
        columns=np.array(columns.of_all(repn.linear_vars), np.int64),
        coefficients=sign * np.array(repn.linear_coefs, np.float64),
        quadratic=(
            np.array(columns.of_all(first for first, _ in pairs), np.int64),
            np.array(columns.of_all(second for _, second in pairs), np.int64),
            sign * np.array(repn.quadratic_coefs, np.float64),
        ),
        constant=sign * float(repn.constant),
        maximize=maximize,
    )


def is_positive_semidefinite(matrix: Weight) -> bool:
    """Whether a symmetric sparse matrix has no negative eigenvalue, up to rounding.

    Each connected part of its pattern is factorised after a small shift of the diagonal.
    """
    scale = np.abs(matrix.data).max(initial=0.0)
    shift = CONVEXITY_TOLERANCE * scale
    if (matrix.diagonal() < -shift).any():
        return False
    coupled = sparse.coo_array(matrix)
    off_diagonal = coupled.coords[0] != coupled.coords[1]
    used = np.unique(coupled.coords[0][off_diagonal & (coupled.data != 0)])
    if used.size == 0:
        return True
    part = sparse.csr_array(matrix[used][:, used])
    n_parts, label = connected_components(part, directed=False)
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(n_parts + 1))
    members = (order[start:stop] for start, stop in pairwise(starts))
    return all(_is_positive_definite(part[rows][:, rows], shift) for rows in members)


def _is_positive_definite(matrix: Weight, shift: float) -> bool:
    """Whether ``matrix + shift * identity`` has a Cholesky factorisation."""
    size = matrix.shape[0]
    if size <= DENSE_SIZE:
        try:
            np.linalg.cholesky(matrix.toarray() + shift * np.eye(size))
        except np.linalg.LinAlgError:
            return False
        return True
    shifted = sparse.csc_array(matrix + shift * sparse.eye_array(size))
    try:
        # With pivots taken from the diagonal this is L D L': the signs of D are those of the eigenvalues.
        factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # exactly singular
        return False
    return bool((factors.perm_r == factors.perm_c).all() and (factors.U.diagonal() > 0).all())
