"""The registry of methods: the names that users type, and what each can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.auto import auto
from pyomo_relugrad.search.domains.feasible_set import run_if_feasible
from pyomo_relugrad.search.literature.lp_walk import lp_walk
from pyomo_relugrad.search.literature.milp_walk import milp_walk
from pyomo_relugrad.search.literature.ppga import ppga, ppga_lr
from pyomo_relugrad.search.literature.pruned import pruned
from pyomo_relugrad.search.literature.relaxing_walk import relaxing_walk
from pyomo_relugrad.search.literature.sampling import sampling
from pyomo_relugrad.search.sequential.sequential_lp import sequential_lp

#: A method yields better incumbents, or None as a sign of life, until it is done or its budget is exhausted.
Run = Callable[[Problem, SearchContext], Iterator[Incumbent | None]]

_ANY = frozenset(Shape)
_CONVEX = frozenset({Shape.BOX, Shape.POLYTOPE})


@dataclass(frozen=True)
class Method:
    """A search method.

    Parameters
    ----------
    run : callable
    summary : str
        One line for the documentation.
    shapes : frozenset of Shape
        The problems that it handles. Where these are boxes and polytopes alone, it runs only where there is a point.
    """

    run: Run
    summary: str
    shapes: frozenset[Shape] = _ANY


METHODS: dict[str, Method] = {
    "auto": Method(auto, "the best for the problem's shape (the default)"),
    "sequential-lp": Method(sequential_lp, "trust-region LP or MILP steps in the surrounding variables"),
    "ppga": Method(ppga, "perturbed projected gradient ascent (arXiv 2512.24295)", _CONVEX),
    "ppga-lr": Method(ppga_lr, "the same, steps cut at linear regions (arXiv 2512.24295)", _CONVEX),
    "lp-walk": Method(lp_walk, "from linear region to linear region by LPs (arXiv 2401.03451)", _CONVEX),
    "relaxing-walk": Method(relaxing_walk, "LP walks from points of the relaxation (arXiv 2401.03451)", _CONVEX),
    "sampling": Method(sampling, "LPs over the linear regions of random points (arXiv 2205.14189)", _CONVEX),
    "milp-walk": Method(milp_walk, "sampling, improved by MILPs over zero neurons (arXiv 2205.14189)", _CONVEX),
    "pruned": Method(pruned, "LP walks on pruned networks, judged on the dense ones (arXiv 2505.01985)", _CONVEX),
}


def find_method(name: str, problem: Problem) -> Run:
    """The method of that name.

    Raises
    ------
    ModelError
        If there is none, or it does not handle problems of this shape.
    """
    if name not in METHODS:
        raise ModelError(f"unknown method '{name}'; the methods are {', '.join(METHODS)}")
    method = METHODS[name]
    if problem.shape not in method.shapes:
        handled = ", ".join(sorted(shape.value for shape in method.shapes))
        raise ModelError(
            f"method '{name}' handles problems of shape {handled}, but this one is {problem.shape.value} "
            "(integer variables, or constraints or bounds on network outputs); use method 'auto'"
        )
    return method.run if Shape.GENERAL in method.shapes else partial(run_if_feasible, method.run)
