"""Reductions of a problem: a chain that it goes through once, before anything runs.

A reduction takes a problem and returns it reduced, with the way between the columns of both. A new one is a function of
that kind, tested alone, in its place in the chain.
"""

from pyomo_relugrad.problem.presolve.chains import compose_chains
from pyomo_relugrad.problem.presolve.implied_bounds import apply_implied_bounds
from pyomo_relugrad.problem.presolve.integer_bounds import round_integer_bounds
from pyomo_relugrad.problem.presolve.linearize import linearize_operations
from pyomo_relugrad.problem.presolve.product_rows import add_product_rows
from pyomo_relugrad.problem.presolve.reduction import Reduced, Reduction, reduce_by
from pyomo_relugrad.problem.presolve.separate_outputs import separate_outputs
from pyomo_relugrad.problem.presolve.short_rows import turn_short_rows_into_bounds
from pyomo_relugrad.problem.presolve.through_expressions import tighten_through_expressions
from pyomo_relugrad.problem.presolve.through_networks import tighten_through_networks
from pyomo_relugrad.problem.presolve.tied_columns import substitute_tied_columns
from pyomo_relugrad.problem.problem import Problem

__all__ = ["FOR_ALL", "FOR_RELAXATIONS", "Reduced", "Reduction", "presolve", "reduce_by", "tighten_through_networks"]

#: What every problem goes through. Ties that make a network write or read in a circle are separated again; merging may
#: leave rows with fewer columns. Maxima that are stated as networks may write what is written already.
FOR_ALL: tuple[Reduction, ...] = (
    turn_short_rows_into_bounds,
    substitute_tied_columns,
    separate_outputs,
    turn_short_rows_into_bounds,
    round_integer_bounds,
    linearize_operations,
    separate_outputs,
    apply_implied_bounds,
    tighten_through_expressions,
)

#: What proofs that relax networks put a presolved problem through.
FOR_RELAXATIONS: tuple[Reduction, ...] = (compose_chains, add_product_rows, tighten_through_networks)


def presolve(problem: Problem) -> Reduced:
    """Reduce a problem to the form that searches and proofs work on.

    Parameters
    ----------
    problem : Problem

    Raises
    ------
    InfeasibleProblemError
        If it is seen to have no feasible point; names a column or row.

    Examples
    --------
    A row ``x - y = 0`` ties two columns, another one bounds them:

    >>> import numpy as np
    >>> free = np.full(2, np.inf)
    >>> problem = Problem(np.ones(2), -free, free, [[1.0, -1.0], [2.0, 0.0]], [0.0, 1.0], [0.0, 3.0])
    >>> reduced = presolve(problem)
    >>> reduced.problem.lower, reduced.problem.upper, reduced.problem.shape.value
    (array([0.5]), array([1.5]), 'box')
    >>> reduced.restore(np.array([0.5]))
    array([0.5, 0.5])
    """
    return reduce_by(problem, FOR_ALL)
