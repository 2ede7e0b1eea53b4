"""The options of the solver: their names, defaults and meaning, and how the ways of giving them come together."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import Field, fields
from os import PathLike, fspath
from typing import Any, Self

import numpy as np
import pyomo.environ as pyo
from pyomo.common.config import Bool, ConfigDict, ConfigValue, NonNegativeFloat, NonNegativeInt, document_configdict
from pyomo.common.timing import HierarchicalTimer
from pyomo.contrib.solver.common.config import BranchAndBoundConfig, SolverConfig, TextIO_or_Logger
from pyomo.core.expr.numvalue import NumericValue

from pyomo_relugrad.checks import check_known
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.run import Options, meanings
from pyomo_relugrad.words import shown

logger = logging.getLogger(__name__)

#: Names that Pyomo, HiGHS, Gurobi, CBC, GLPK and SCIP use for the same option.
_ELSEWHERE = {
    "time_limit": ("timelimit", "TimeLimit", "seconds", "sec", "tmlim", "limits/time"),
    "rel_gap": ("mipgap", "mip_rel_gap", "MIPGap", "ratioGap", "ratio", "limits/gap"),
    "abs_gap": ("mip_abs_gap", "MIPGapAbs", "allowableGap", "limits/absgap"),
    "threads": ("Threads",),
    "seed": ("Seed", "random_seed"),
}
ALIASES = {alias: name for name, aliases in _ELSEWHERE.items() for alias in aliases}

#: Keywords of Pyomo's other solvers that mean nothing here: no files are written.
IGNORED = ("keepfiles", "solnfile")


#: What Pyomo calls an option of `Options`.
NAMES = {"relative_gap": "rel_gap", "absolute_gap": "abs_gap"}

_DOMAINS = {
    "int": NonNegativeInt,
    "int | None": NonNegativeInt,
    "float": NonNegativeFloat,
    "str": str,
    "str | None": str,
    "str | Method": None,
    "dict[str, Any]": dict,
    "Executor | None": None,
}

#: What may be given, in words, by the names of domains.
_WANTED = {
    "NonNegativeFloat": "a number of 0 or more",
    "NonNegativeInt": "a whole number of 0 or more",
    "Bool": "True or False",
    "_streams": "True, False, an open text file or a logger; logfile='run.log' writes a file",
    "_function": "a function",
    "_path": "the name of a file, such as 'run.log'",
    "_timer": "a HierarchicalTimer of Pyomo, or None",
    "str": "text",
    "dict": "a dictionary",
}


def _declare(config: ConfigDict, option: Field[Any]) -> None:
    """Declare an option of `Options`, in place of what Pyomo may have declared under the name."""
    name = NAMES.get(option.name, option.name)
    if name in config:
        del config[name]
    aliases = _ELSEWHERE.get(name, ())
    config.declare(
        name,
        ConfigValue(
            default=getattr(Options(), option.name),
            domain=_DOMAINS[str(option.type)],
            description=meanings()[option.name] + (f" Also {', '.join(aliases)}." if aliases else ""),
        ),
    )


def _function(value: Any) -> Any:
    """The domain of functions."""
    if not callable(value):
        raise ValueError("expected a function")
    return value


def _path(value: Any) -> str:
    """The domain of names of files."""
    if not isinstance(value, str | PathLike):
        raise ValueError("expected a path")
    return fspath(value)


def _streams(value: Any) -> list[Any]:
    """The domain of places for the log: Pyomo's, and what its other flags take for True and False."""
    with suppress(TypeError, ValueError):
        value = Bool(value)
    return TextIO_or_Logger(value)


def _timer(value: Any) -> Any:
    """The domain of Pyomo's timers."""
    if not isinstance(value, HierarchicalTimer | None):
        raise ValueError("expected a timer")
    return value


def _is_flag_for_number(name: str, value: Any, config: ConfigDict) -> bool:
    """Whether True or False is given for a number, which Pyomo would take as 1 or 0."""
    return isinstance(value, bool | np.bool_) and config.get(name).domain_name().startswith("NonNegative")


@document_configdict()
class RelugradConfig(SolverConfig):
    """Options of ``SolverFactory('relugrad')``: those of every Pyomo solver, and the ones declared here."""

    #: The solver's name, for messages.
    solver = "relugrad"
    #: The fields of `Options` that are declared as `Options` describes them.
    declared: tuple[str, ...] = ("iteration_limit", "seed", "method", "threads", "executor", "solutions", "device")

    def __init__(self, *args: Any, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        for option in fields(Options):
            if option.name in self.declared:
                _declare(self, option)
        self.get("tee").set_domain(_streams)
        self.get("timer").set_domain(_timer)
        self.declare(
            "warmstart",
            ConfigValue(
                default=False,
                domain=Bool,
                description="If True, the search also starts from the current values of the variables; "
                "variables without a value are filled in.",
            ),
        )
        self.declare(
            "callback",
            ConfigValue(
                domain=_function,
                description="Function called with a SolveProgress at each new incumbent and between steps; "
                "the search ends, with its best point, when it returns True.",
            ),
        )
        self.declare(
            "logfile",
            ConfigValue(domain=_path, description="Name of a file to which the log is written as well."),
        )
        self.declare(
            "report_timing",
            ConfigValue(default=False, domain=Bool, description="If True, the timers are printed after the solve."),
        )

    def copied(self) -> Self:
        """A copy with the options' present values; calling a ConfigDict would declare each of them twice."""
        copied = ConfigDict.__new__(type(self))
        ConfigDict.__init__(copied)
        for name in self:
            copied.declare(name, self.get(name)(preserve_implicit=True))
        return copied

    def options(self) -> Options:
        """What is asked of a run; an option that is None has its default.

        Raises
        ------
        ModelError
            As `Options`.
        """
        named = {option.name: NAMES.get(option.name, option.name) for option in fields(Options)}
        given = {option: self[name] for option, name in named.items() if name in self}
        return Options(**{option: value for option, value in given.items() if value is not None})


@document_configdict()
class ExactConfig(RelugradConfig, BranchAndBoundConfig):
    """Options of ``SolverFactory('relugrad.exact')``: those of its local searches, and of the proof."""

    solver = "relugrad.exact"
    declared = (*RelugradConfig.declared, "relative_gap", "absolute_gap", "bounds", "highs_options")


def configure(config: RelugradConfig, *given: Mapping[str, Any]) -> RelugradConfig:
    """The options of one call, in a copy of the solver's own.

    Parameters
    ----------
    config : RelugradConfig
        The solver's options, not changed. What was put in its ``solver_options`` counts as an option too.
    *given : mapping
        Options by name, later mappings before earlier ones. ``options`` and ``solver_options`` in them may hold
        further options, which count less than the mapping's own.

    Raises
    ------
    ModelError
        If an option is unknown, or one is given under two names.
    """
    merged: dict[str, Any] = {}
    for source in (config.solver_options.value(), *given):
        own = dict(source)
        for name in ("options", "solver_options"):
            nested = own.pop(name, None) or {}
            if not isinstance(nested, Mapping | ConfigDict):
                raise ModelError(f"{name} is {shown(nested)}: give a dictionary of options by name")
            merged.update(_by_name(nested, config))
        merged.update(_by_name(own, config))
    try:
        for name, value in merged.items():
            if _is_flag_for_number(name, value, config):
                raise ValueError(f"'{name}'")
        configured = config.copied()
        configured.set_value(merged)
        return configured
    except ValueError as error:
        raise ModelError(f"solver '{config.solver}': {refusal(config, merged, error)}") from error


def refusal(config: ConfigDict, given: Mapping[str, Any], error: ValueError) -> str:
    """In words, which of the given options Pyomo's error is about, and what may be given."""
    for name, value in given.items():
        if f"'{name}'" in str(error) and name in config:
            wanted = _WANTED.get(config.get(name).domain_name(), "another value")
            return f"option '{name}' is {shown(value)}: give {wanted}"
    return " ".join(str(error).split())


def _by_name(given: Mapping[str, Any], config: RelugradConfig) -> dict[str, Any]:
    """The given options under their one name, without those that are ignored or absent."""
    known: dict[str, Any] = {}
    for key, value in given.items():
        name = ALIASES.get(key, key)
        if name in IGNORED:
            logger.debug("keyword '%s' is ignored: %s writes no files", key, config.solver)
        elif key in ALIASES and name in config and value is None:
            continue  # Pyomo's command line hands over a None where nothing was said
        elif name == "suffixes" and value:
            raise ModelError(f"suffixes is {shown(value)}: '{config.solver}' has no duals and the like, leave it out")
        elif name not in config or name in ("options", "solver_options"):
            more = f". '{ExactConfig.solver}' takes {name}, for its proof" if name in ExactConfig() else ""
            names = sorted({*config} - {"solver_options"})
            check_known(key, "option", names, more, owner=f" of solver '{config.solver}'")
        elif name in known and known[name] != value:
            raise ModelError(f"option '{name}' is given twice, as {known[name]!r} and as {value!r}: leave one out")
        else:
            known[name] = _plain(value)
    return known


def _plain(given: Any) -> Any:
    """The value of a parameter, or of an expression of them; what has none stays, and is refused."""
    if isinstance(given, NumericValue):
        with suppress(ArithmeticError, RuntimeError, ValueError):
            return pyo.value(given) if given.is_fixed() else given
    return given
