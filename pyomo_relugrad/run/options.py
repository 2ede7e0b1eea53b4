"""What is asked of a run, and when it counts as proven."""

from __future__ import annotations

import inspect
import math
import re
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from pyomo_relugrad.checks import check_known, check_number, is_whole
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import BOUND_METHODS, Incumbent
from pyomo_relugrad.programs import silent_highs
from pyomo_relugrad.run.budget import Clock, Stop
from pyomo_relugrad.run.cores import usable_cores
from pyomo_relugrad.run.method import Method
from pyomo_relugrad.words import counted, shown

#: Rounding, relative to one plus the objective's size, that does not keep an incumbent from being proven.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Options:
    """What is asked of a run: of a search, of a proof, or of both.

    Parameters
    ----------
    time_limit : float, optional
        Seconds of wall-clock time.
    iteration_limit : int, optional
        Batched steps of each local search; a linear program counts as one.
    seed : int, optional
        Of the random starts. A seed gives the same answer again where the search is limited by iterations and not by
        time.
    method : str or Method, optional
        Of the local searches: a name, or a value such as Ppga(batch=64); "auto" takes the best one for the problem's
        shape.
    relative_gap : float, optional
        The run ends as optimal when incumbent and bound differ by at most this, relative to the incumbent's size.
    absolute_gap : float, optional
        The same, absolute; one of the two is enough.
    bounds : str, optional
        How the MILP's pre-activations are bounded: "interval", "crown" or "lp".
    highs_options : dict, optional
        Options of HiGHS, for the MILP.
    threads : int, optional
        Processor cores that the run may use; by default all that this process may use. A run of a few tenths of a
        second uses one.
    executor : concurrent.futures.Executor, optional
        What runs the work that others can do, in place of processes on this machine: Dask's
        ``Client.get_executor()``, for example. No more than ``threads`` tasks are under way at once, where it is given.
    solutions : int, optional
        Distinct feasible points that are wanted (1): with fewer a run goes on though its best one is proven. At least
        ten are kept in any case.
    device : str, optional
        Where points move that descend together, by PyTorch's name: "cuda", for example; "cupy" is CuPy's. It takes
        networks over bounds on their inputs.

    Raises
    ------
    ModelError
        If a number is NaN or negative, the bounds are unknown, HiGHS does not know an option, or the executor is none.

    Examples
    --------
    A bound of 99.995 proves an incumbent of 100, to be minimized, up to the gap that is asked for:

    >>> options = Options(time_limit=60, relative_gap=1e-4)
    >>> options.is_proven(100.0, 99.995), options.is_proven(100.0, 99.9)
    (True, False)
    """

    time_limit: float = math.inf
    iteration_limit: int | None = None
    seed: int = 0
    method: str | Method = "auto"
    relative_gap: float = 1e-4
    absolute_gap: float = 1e-6
    bounds: str = "crown"
    highs_options: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None
    executor: Executor | None = None
    solutions: int = 1
    device: str | None = None

    def __post_init__(self) -> None:
        Clock(self.time_limit)  # refuses NaN
        whole, limit = partial(is_whole, least=0), self.iteration_limit
        check_number(self.seed, "the seed", "a whole number of 0 or more", whole)
        object.__setattr__(self, "seed", int(self.seed))
        wanted = "how many are wanted, 1 or more"
        check_number(self.solutions, "the number of solutions", wanted, partial(is_whole, least=1))
        object.__setattr__(self, "solutions", int(self.solutions))
        if isinstance(limit, float) and limit == math.inf:
            object.__setattr__(self, "iteration_limit", None)
        elif limit is not None:
            wanted = "a whole number of steps, 0 or more, or None for no limit"
            check_number(limit, "the iteration limit", wanted, whole)
            object.__setattr__(self, "iteration_limit", int(limit))
        for gap in ("relative_gap", "absolute_gap"):
            check_number(
                getattr(self, gap), f"the {gap.replace('_', ' ')}", "a number of 0 or more", lambda own: own >= 0
            )
        if self.threads is not None:
            count = "the number of cores to use, 1 or more, or None for all"
            check_number(self.threads, "the number of threads", count, partial(is_whole, least=1))
            object.__setattr__(self, "threads", int(self.threads))
        if not isinstance(self.executor, Executor | None):
            raise ModelError(
                f"the executor is {shown(self.executor)}: give a concurrent.futures.Executor, such as Dask's "
                "Client.get_executor()"
            )
        if not isinstance(self.device, str | None):
            raise ModelError(
                f"the device is {shown(self.device)}: give PyTorch's name of it, such as 'cuda', or 'cupy'"
            )
        check_known(self.bounds, "bounds", BOUND_METHODS)
        if self.highs_options:
            silent_highs(self.highs_options)

    @property
    def cores(self) -> int:
        """Processor cores of this machine that the run may use."""
        return usable_cores() if self.threads is None else self.threads

    def allowed_gap(self, objective: float) -> float:
        """The gap at which an incumbent of that objective counts as proven."""
        return max(self.absolute_gap, self.relative_gap * abs(objective))

    def cutoff(self, objective: float) -> float:
        """The bound at which an incumbent of that objective counts as proven; infinite where there is none."""
        return objective - self.allowed_gap(objective) if math.isfinite(objective) else math.inf

    def is_proven(self, objective: float, bound: float) -> bool:
        """Whether a bound proves an incumbent of that objective; rounding aside."""
        return bound >= self.cutoff(objective) - ROUNDING * (1.0 + abs(objective))

    def conclusion(self, incumbent: Incumbent | None, bound: float) -> Stop | None:
        """What incumbent and bound prove: OPTIMAL, INFEASIBLE, or nothing yet. Objectives are to be minimized."""
        if incumbent is None:
            return Stop.INFEASIBLE if bound == math.inf else None
        return Stop.OPTIMAL if self.is_proven(incumbent.objective, bound) else None

    def in_words(self, proves: bool) -> str:
        """Method, seed and limits, for the log; the gap where there is a proof."""
        words = [f"method {self.method}", f"seed {self.seed}"]
        words += [f"relative gap {self.relative_gap:g}"] if proves else []
        words += [f"time limit {self.time_limit:g} s"] if math.isfinite(self.time_limit) else []
        words += [f"at most {self.iteration_limit} steps"] if self.iteration_limit is not None else []
        words += [f"device {self.device}"] if self.device is not None else []
        cores = 1 if self.executor is not None else self.cores
        words += ["executor"] if self.executor is not None else [counted(cores, "core")] if cores > 1 else []
        return ", ".join(words)


@cache
def meanings() -> dict[str, str]:
    """The meaning of each option, from the docstring of `Options`."""
    entries = re.findall(r"^(\w+) : .*\n((?: +.*\n)+)", inspect.cleandoc(Options.__doc__ or ""), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
