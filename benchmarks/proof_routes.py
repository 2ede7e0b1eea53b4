"""The routes to a proof that the experiment compares, each watched from outside: time, best value, bound."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pyomo.environ as pyo
from proof_instances import Instance, ModelInstance
from proof_results import GAP
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler
from scipy import sparse

from pyomo_relugrad import Network
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.network import rescale_neurons, without_stable_neurons
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import highs_with_model
from pyomo_relugrad.proof import prove, prove_by_milp
from pyomo_relugrad.solve import search

#: The local search before HiGHS is started: seconds, and its largest share of the time limit.
SEARCH_SECONDS, SEARCH_SHARE = 1.0, 0.1


@dataclass
class Watch:
    """What a route tells while it runs, in the sense of maximization; its clock starts when it is made.

    Parameters
    ----------
    seconds : float
        The time limit.
    seed : int
    tell : callable
        Called with time, best value, and bound whenever one of the two moves.
    """

    seconds: float
    seed: int
    tell: Callable[[float, float, float], None]
    value: float = -np.inf
    bound: float = np.inf

    def __post_init__(self) -> None:
        self._begin = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._begin

    @property
    def remaining(self) -> float:
        """Seconds left, not negative."""
        return max(self.seconds - self.elapsed, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the time is up or the value is proven."""
        is_proven = np.isfinite(self.value) and self.bound - self.value <= GAP * max(1.0, abs(self.value))
        return is_proven or self.elapsed >= self.seconds

    def note(self, value: float = -np.inf, bound: float = np.inf) -> None:
        """Take what is better than what is known."""
        known = self.value, self.bound
        self.value, self.bound = max(self.value, value), min(self.bound, bound)
        if (self.value, self.bound) != known:
            self.tell(self.elapsed, self.value, self.bound)

    def note_progress(self, problem: Problem, incumbent: Incumbent | None, bound: float = -np.inf) -> None:
        """The same, in terms of a problem, which is minimized."""
        found = incumbent is not None and incumbent.is_feasible
        self.note(problem.reported(incumbent.objective) if found else -np.inf, problem.reported(bound))


Route = Callable[[Instance | ModelInstance, Watch], None]


def by_omlt(
    start: bool = False, bounds: str = "interval", rewrite: Callable[[Instance], Network] | None = None
) -> Route:
    """HiGHS on OMLT's big-M formulation; perhaps started, with tighter bounds, of a rewritten network."""

    def run(instance: Instance, watch: Watch) -> None:
        m = instance.model() if rewrite is None else instance.model(rewrite(instance))
        is_started = start and _set_found_values(m, watch)
        pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm", bounds=bounds)
        _HighsRun(m, instance, watch).run(start=is_started)

    return run


def by_milp(instance: Instance, watch: Watch) -> None:
    """The MILP of `pyomo_relugrad.proof`: LP-tightened bounds, no columns for stable neurons, started."""
    problem = _problem(instance)
    start = _search(problem, watch).incumbent
    prove_by_milp(
        problem,
        start=start,
        bounds="lp",
        time_limit=watch.remaining,
        relative_gap=GAP,
        absolute_gap=GAP,
        callback=lambda progress: watch.note_progress(problem, progress.incumbent, progress.bound),
    )


def by_branching(instance: Instance, watch: Watch) -> None:
    """Branch and bound in the space of the networks' inputs, from nothing."""
    problem = _problem(instance)

    def note(progress: Any) -> None:
        watch.note_progress(problem, progress.incumbent, progress.bound)

    result = prove(problem, time_limit=watch.remaining, relative_gap=GAP, absolute_gap=GAP, callback=note)
    watch.note_progress(problem, result.incumbent, result.bound)


def by_relugrad(instance: Instance, watch: Watch) -> None:
    """``SolverFactory('relugrad.exact')``."""

    def note(progress: Any) -> None:
        watch.note(-np.inf if progress.objective is None else progress.objective, progress.bound)

    m = instance.model()
    results = pyo.SolverFactory("relugrad.exact").solve(
        m,
        time_limit=watch.remaining,
        seed=watch.seed,
        threads=os.cpu_count(),  # else one: a process that multiprocessing has started counts as one of several
        rel_gap=GAP,
        abs_gap=GAP,
        callback=note,
        highs_options={"time_limit": np.inf},
        load_solutions=False,
    )
    watch.note(bound=float(results.problem.upper_bound))


def _without_stable(instance: Instance) -> Network:
    return without_stable_neurons(instance.network, instance.lower, instance.upper)


def _rescaled(instance: Instance) -> Network:
    return rescale_neurons(instance.network, instance.lower, instance.upper)


ROUTES: dict[str, Route] = {
    "omlt": by_omlt(),
    "started": by_omlt(start=True),
    "started-crown": by_omlt(start=True, bounds="crown"),
    "started-rescaled": by_omlt(start=True, bounds="crown", rewrite=_rescaled),
    "started-no-stable": by_omlt(start=True, bounds="crown", rewrite=_without_stable),
    "milp-lp": by_milp,
    "branch": by_branching,
    "exact": by_relugrad,
}


def _problem(instance: Instance) -> Problem:
    return presolve(compile_model(instance.model()).problem).problem


def _search(problem: Problem, watch: Watch) -> Any:
    return search(
        problem,
        time_limit=min(SEARCH_SECONDS, SEARCH_SHARE * watch.seconds),
        seed=watch.seed,
        callback=lambda progress: watch.note_progress(problem, progress.incumbent),
    )


def _set_found_values(m: pyo.ConcreteModel, watch: Watch) -> bool:
    """Give the variables of a model the values that the local search finds; whether it finds some."""
    compiled = compile_model(m)
    best = _search(compiled.problem, watch).incumbent
    for variable, value in () if best is None else compiled.solution(best.values).items():
        variable.set_value(value, skip_validation=True)
    return best is not None


class _HighsRun:
    """HiGHS on a Pyomo model that has become linear; its points are judged by the instance's network."""

    def __init__(self, m: pyo.ConcreteModel, instance: Instance, watch: Watch) -> None:
        self._instance, self._watch = instance, watch
        form = LinearStandardFormCompiler().write(m, mixed_form=True)
        places = {id(variable): column for column, variable in enumerate(form.columns)}
        self._inputs = np.array([places[id(variable)] for variable in instance.variables(m)])
        self._offset = float(form.c_offset[0])
        self._start = np.array([0.0 if variable.value is None else variable.value for variable in form.columns])
        self._highs = _highs_of(form)
        self._highs.cbMipImprovingSolution.subscribe(self._on_point)
        self._highs.cbMipInterrupt.subscribe(self._on_progress)
        self._highs.cbSimplexInterrupt.subscribe(self._on_clock)

    def run(self, start: bool) -> None:
        """Solve, from the variables' values if asked."""
        if start:
            columns = np.arange(self._start.size, dtype=np.int32)
            self._highs.setSolution(columns.size, columns, self._start)
        self._highs.run()
        info = self._highs.getInfo()
        self._watch.note(bound=self._reported(info.mip_dual_bound))
        if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            self._note_point(np.array(self._highs.getSolution().col_value))

    def _reported(self, objective: float) -> float:
        return -(objective + self._offset)

    def _note_point(self, values: np.ndarray) -> None:
        self._watch.note(self._instance.judge(values[self._inputs]))

    def _on_point(self, event: Any) -> None:
        self._note_point(np.array(event.data_out.mip_solution))

    def _on_progress(self, event: Any) -> None:
        self._watch.note(bound=self._reported(event.data_out.mip_dual_bound))
        self._on_clock(event)

    def _on_clock(self, event: Any) -> None:
        if self._watch.is_over:
            event.interrupt()


def _highs_of(form: Any) -> Any:
    """HiGHS with a standard form of Pyomo; the rows' senses are 1 (at most), -1 (at least) and 0."""
    senses = np.array([row.bound_type for row in form.rows])
    cost = np.zeros(len(form.columns))
    objective = sparse.coo_array(form.c)
    cost[objective.coords[1]] = objective.data
    sides = [variable.bounds for variable in form.columns]
    return highs_with_model(
        cost,
        np.array([-np.inf if low is None else low for low, _ in sides]),
        np.array([np.inf if high is None else high for _, high in sides]),
        sparse.csr_array(form.A),
        np.where(senses == 1, -np.inf, form.rhs),
        np.where(senses == -1, np.inf, form.rhs),
        np.array([not variable.is_continuous() for variable in form.columns]),
        dict.fromkeys(("mip_rel_gap", "mip_abs_gap"), GAP / 2),  # the watch ends it at the gap by the judged value
    )
