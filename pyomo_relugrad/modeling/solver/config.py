"""The options of the solver: their names, defaults and meaning, and how the ways of giving them come together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyomo.common.config import Bool, ConfigValue, In, NonNegativeFloat, NonNegativeInt
from pyomo.contrib.solver.common.config import SolverConfig

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem.bounds import BOUND_METHODS

logger = logging.getLogger(__name__)

#: Names that Pyomo and MIP solvers use for the same option elsewhere.
ALIASES = {"timelimit": "time_limit", "mipgap": "rel_gap", "mip_rel_gap": "rel_gap", "mip_abs_gap": "abs_gap"}

#: Keywords of Pyomo's other solvers that mean nothing here: no files are written.
IGNORED = ("keepfiles", "solnfile")


class RelugradConfig(SolverConfig):
    """Options of ``SolverFactory('relugrad')``: those of every Pyomo solver, and the ones declared here."""

    #: The solver's name, for messages.
    solver = "relugrad"

    def __init__(self, *args: Any, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        self.method: str = self.declare(
            "method",
            ConfigValue(
                default="auto",
                domain=str,
                description="Search method; 'auto' takes the best one for the problem's shape.",
            ),
        )
        self.seed: int = self.declare(
            "seed",
            ConfigValue(
                default=0,
                domain=NonNegativeInt,
                description="Seed of the random starts. A seed gives the same answer again where the search is "
                "limited by iterations and not by time.",
            ),
        )
        self.iteration_limit: int | None = self.declare(
            "iteration_limit",
            ConfigValue(
                domain=NonNegativeInt,
                description="Limit on the number of batched steps (an LP counts as one).",
            ),
        )
        self.warmstart: bool = self.declare(
            "warmstart",
            ConfigValue(
                default=False,
                domain=Bool,
                description="If True, the search also starts from the current values of the variables; "
                "variables without a value are filled in.",
            ),
        )
        self.callback: Callable[..., bool | None] | None = self.declare(
            "callback",
            ConfigValue(
                domain=_function,
                description="Function called with a SolveProgress at each new incumbent and between steps; "
                "the search ends, with its best point, when it returns True.",
            ),
        )
        self.logfile: str | None = self.declare(
            "logfile",
            ConfigValue(domain=str, description="Name of a file to which the log is written as well."),
        )
        self.report_timing: bool = self.declare(
            "report_timing",
            ConfigValue(default=False, domain=Bool, description="If True, the timers are printed after the solve."),
        )


class ExactConfig(RelugradConfig):
    """Options of ``SolverFactory('relugrad.exact')``: those of its local searches, and of the proof."""

    solver = "relugrad.exact"

    def __init__(self, *args: Any, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        self.rel_gap: float = self.declare(
            "rel_gap",
            ConfigValue(
                default=1e-4,
                domain=NonNegativeFloat,
                description="The solve ends as optimal when incumbent and bound differ by at most this, relative to "
                "the incumbent's size. Also mip_rel_gap, mipgap.",
            ),
        )
        self.abs_gap: float = self.declare(
            "abs_gap",
            ConfigValue(
                default=1e-6,
                domain=NonNegativeFloat,
                description="The same, absolute; one of the two is enough. Also mip_abs_gap.",
            ),
        )
        self.bounds: str = self.declare(
            "bounds",
            ConfigValue(
                default="crown",
                domain=In(BOUND_METHODS),
                description=f"How the MILP's pre-activations are bounded: {' or '.join(BOUND_METHODS)}.",
            ),
        )
        self.highs_options: dict[str, Any] = self.declare(
            "highs_options",
            ConfigValue(default={}, domain=dict, description="Options of HiGHS, for the MILP."),
        )


def _function(value: Any) -> Any:
    """The domain of functions."""
    if not callable(value):
        raise ValueError("expected a function")
    return value


def configure(config: RelugradConfig, *given: Mapping[str, Any]) -> RelugradConfig:
    """The options of one call, in a copy of the solver's own.

    Parameters
    ----------
    config : RelugradConfig
        The solver's options, not changed. What was put in its ``solver_options`` counts as an option too.
    *given : mapping
        Options by name, later mappings before earlier ones. ``options`` and ``solver_options`` in them may hold
        further options, which count less than the mapping's own.

    Returns
    -------
    RelugradConfig

    Raises
    ------
    ModelError
        If an option is unknown, or one is given under two names.
    """
    merged: dict[str, Any] = {}
    for source in (config.solver_options.value(), *given):
        own = dict(source)
        for name in ("options", "solver_options"):
            merged.update(_by_name(own.pop(name, None) or {}, config))
        merged.update(_by_name(own, config))
    return config(value=merged, preserve_implicit=True)


def _by_name(given: Mapping[str, Any], config: RelugradConfig) -> dict[str, Any]:
    """The given options under their one name, without those that are ignored or absent."""
    known: dict[str, Any] = {}
    for key, value in given.items():
        name = ALIASES.get(key, key)
        if name in IGNORED:
            logger.debug("keyword '%s' is ignored: %s writes no files", key, config.solver)
        elif key in ALIASES and name in config and value is None:
            continue  # Pyomo's command line hands over a None where nothing was said
        elif name not in config or name in ("options", "solver_options"):
            aliases = {alias for alias, meant in ALIASES.items() if meant in config}
            names = sorted({*config, *aliases} - {"solver_options"})
            raise ModelError(f"unknown option '{key}' of solver '{config.solver}'; the options are {', '.join(names)}")
        elif name in known and known[name] != value:
            raise ModelError(f"option '{name}' is given twice, as {known[name]!r} and as {value!r}")
        else:
            known[name] = value
    return known
