"""The options of the solver: their names, defaults and meaning, and how the ways of giving them come together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pyomo.common.config import Bool, ConfigValue, NonNegativeInt
from pyomo.contrib.solver.common.config import SolverConfig

from pyomo_relugrad.errors import ModelError

logger = logging.getLogger(__name__)

#: Names that Pyomo uses for the same option elsewhere.
ALIASES = {"timelimit": "time_limit"}

#: Keywords of Pyomo's other solvers that mean nothing here: no files are written.
IGNORED = ("keepfiles", "solnfile")


class RelugradConfig(SolverConfig):
    """Options of ``SolverFactory('relugrad')``: those of every Pyomo solver, and the ones declared here."""

    def __init__(
        self,
        description: str | None = None,
        doc: str | None = None,
        implicit: bool = False,
        implicit_domain: Any = None,
        visibility: int = 0,
    ) -> None:
        super().__init__(
            description=description,
            doc=doc,
            implicit=implicit,
            implicit_domain=implicit_domain,
            visibility=visibility,
        )
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
            logger.debug("keyword '%s' is ignored: relugrad writes no files", key)
        elif key in ALIASES and value is None:
            continue  # Pyomo's command line hands over a None where nothing was said
        elif name not in config or name in ("options", "solver_options"):
            names = sorted({*config, *ALIASES} - {"solver_options"})
            raise ModelError(f"unknown option '{key}' of solver 'relugrad'; the options are {', '.join(names)}")
        elif name in known and known[name] != value:
            raise ModelError(f"option '{name}' is given twice, as {known[name]!r} and as {value!r}")
        else:
            known[name] = value
    return known
