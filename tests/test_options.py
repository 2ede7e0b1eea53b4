"""What is asked of a run: what is refused, what is proven by it, and how Pyomo's options follow from it."""

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from pyomo.contrib.solver.common.config import BranchAndBoundConfig

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.solver.config import NAMES, ExactConfig, RelugradConfig
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.run import Options, Stop, meanings


def point(objective: float) -> Incumbent:
    return Incumbent(values=np.zeros(1), objective=objective, violation=0.0, network_error=0.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"time_limit": np.nan}, "the time limit is nan"),
        ({"time_limit": -1.0}, r"the time limit is -1\.0"),
        ({"seed": -1}, "the seed is -1"),
        ({"iteration_limit": -3}, "the iteration limit is -3"),
        ({"relative_gap": np.nan}, "the relative gap is nan"),
        ({"absolute_gap": -1e-9}, "the absolute gap is -1e-09"),
        ({"threads": 0}, "the number of threads is 0"),
        ({"threads": 1.5}, r"the number of threads is 1\.5"),
        ({"solutions": 0}, "the number of solutions is 0: give how many are wanted, 1 or more"),
        ({"executor": 4}, "the executor is 4"),
        ({"executor": SimpleNamespace(submit=print)}, "the executor is a SimpleNamespace"),
        ({"bounds": "magic"}, "unknown bounds 'magic'"),
        ({"highs_options": {"mip_magic": 1}}, "HiGHS does not take the option mip_magic = 1"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(given: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Options(**given)
    with pytest.raises(ModelError, match=message):
        replace(Options(), **given)


@pytest.mark.parametrize("objective", [-1e6, -3.0, 0.0, 2.0, 1e6])
@pytest.mark.parametrize("options", [Options(), Options(relative_gap=0.0), Options(relative_gap=0.5, absolute_gap=0.0)])
def test_an_incumbent_is_proven_within_the_larger_of_both_gaps(options: Options, objective: float) -> None:
    allowed = max(options.absolute_gap, options.relative_gap * abs(objective))
    rounding = 1e-9 * (1 + abs(objective))
    assert options.conclusion(point(objective), objective - allowed) is Stop.OPTIMAL
    assert options.conclusion(point(objective), objective - allowed - rounding) is None
    assert options.conclusion(point(objective), np.inf) is Stop.OPTIMAL
    assert options.conclusion(point(objective), -np.inf) is None
    assert options.cutoff(objective) == objective - allowed


def test_without_an_incumbent_only_infeasibility_can_be_proven() -> None:
    assert Options().conclusion(None, 1e300) is None
    assert Options().conclusion(None, np.inf) is Stop.INFEASIBLE
    assert Options().cutoff(np.inf) == np.inf


def test_every_option_says_what_it_means() -> None:
    assert list(meanings()) == [option.name for option in fields(Options)]
    assert all(text.endswith(".") for text in meanings().values())


def test_the_options_of_pyomo_are_those_of_a_run() -> None:
    config = ExactConfig()
    assert isinstance(config, BranchAndBoundConfig)
    assert config.options() == Options()
    given = {"time_limit": 3.0, "iteration_limit": 4, "seed": 5, "method": "ppga", "rel_gap": 0.25, "abs_gap": 0.5}
    chosen = config(value={**given, "bounds": "lp", "highs_options": {"presolve": "off"}})
    asked = Options(3.0, 4, 5, "ppga", 0.25, 0.5, "lp", {"presolve": "off"})
    assert chosen.options() == asked
    assert {NAMES.get(option.name, option.name) for option in fields(Options)} <= set(config)
    for name in ("seed", "rel_gap"):
        assert config.get(name)._description.startswith(meanings()[{"rel_gap": "relative_gap"}.get(name, name)])


def test_an_option_that_is_none_has_its_default() -> None:
    assert ExactConfig()(value={"rel_gap": None, "time_limit": None}).options() == Options()


def test_a_search_is_not_asked_for_a_proof() -> None:
    assert not {"rel_gap", "abs_gap", "bounds", "highs_options"} & set(RelugradConfig())
    assert RelugradConfig()(value={"seed": 7}).options() == Options(seed=7)
    assert "seed: NonNegativeInt" in str(RelugradConfig.__doc__)


def test_whole_numbers_are_integers_however_they_are_given() -> None:
    """A shell and other solvers' options give floats; NumPy has whole numbers of its own."""
    given = Options(seed=np.int64(3), iteration_limit=5.0, threads=2.0, solutions=np.int32(4))
    whole = given.seed, given.iteration_limit, given.threads, given.solutions
    assert whole == (3, 5, 2, 4)
    assert {type(number) for number in whole} == {int}
