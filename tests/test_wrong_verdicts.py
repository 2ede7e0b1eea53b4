"""Verdicts on random properties against OMLT with HiGHS or SCIP; benchmarks/wrong_verdicts.py does it on 2,000."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import wrong_verdicts

from pyomo_relugrad.solve import Answer, Verdict


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_no_verdict_is_wrong(seed):
    if wrong_verdicts.random_property(seed).kind == "smooth":
        pytest.importorskip("pyscipopt")
    answer, wrong = wrong_verdicts.check(seed, 20.0)
    assert not wrong
    assert answer != "unknown"


def test_a_wrong_verdict_is_seen(monkeypatch):
    holds = Verdict(Answer.HOLDS, None, (), 0.0)
    monkeypatch.setattr(wrong_verdicts, "verify", lambda *_, **__: holds)
    assert wrong_verdicts.check(0, 20.0) == ("holds", "a case is missed by -1.05 only")
    exact = next(s for s in range(4, 50, 5) if any(case.is_met for case in wrong_verdicts.random_property(s).cases))
    assert wrong_verdicts.check(exact, 20.0) == ("holds", "a known input meets a case exactly")
