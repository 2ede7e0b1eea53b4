"""Random Pyomo models as users write them: what both solvers say of each, judged by Pyomo, OMLT and HiGHS.

    python benchmarks/solver_claims.py --count 10000 --seed 0
    python benchmarks/solver_claims.py --seed 0 --replay 123

Each model of `tests/user_models.py` is solved by ``relugrad`` and ``relugrad.exact``. A fault is a point that violates
a row, bound or domain or is none of the network, "optimal" or a bound that HiGHS disproves on OMLT's rows, "infeasible"
where HiGHS has a point, changed values after a solve that found nothing, an error that is none of the package's. The
table counts the outcomes by solver; each fault is printed with the command that replays it, and the exit status is 1
if there are any. Time beyond the limit is printed as the most of all: on a busy machine it says little.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import model_judgement
from judgement import Judgement
from judging import UNDER_TEST, Case, main
from user_models import user_model


def judge(case: Case, note: Callable[[str], None]) -> list[Judgement]:
    logging.disable(logging.CRITICAL)
    seed = case.seed * 10_000_000 + case.index
    note("in the oracle")
    known = model_judgement.truth(seed, case.without)
    note(UNDER_TEST)
    return [model_judgement.judge(name, seed, known, case.without) for name in model_judgement.LIMITS]


def show(case: Case) -> None:
    built = user_model(case.seed * 10_000_000 + case.index, case.without)
    built.model.pprint()
    print("features:", ", ".join(sorted(built.features)))


if __name__ == "__main__":
    sys.exit(main(__doc__, judge, show, count=1_000, seconds_are="most beyond a limit"))
