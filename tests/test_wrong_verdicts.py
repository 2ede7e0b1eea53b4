"""Verdicts on random properties against OMLT with HiGHS or SCIP; benchmarks/wrong_verdicts.py does it on 2,000."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import wrong_verdicts

from pyomo_relugrad.solve import Answer, Verdict


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_verdict_is_wrong(seed):
    if seed % 4 == 3:
        pytest.importorskip("pyscipopt")
    answer, wrong = wrong_verdicts.check(seed, 20.0)
    assert not wrong
    assert answer != "unknown"


def test_a_wrong_verdict_is_seen(monkeypatch):
    holds = Verdict(Answer.HOLDS, None, (), 0.0)
    monkeypatch.setattr(wrong_verdicts, "verify", lambda *_, **__: holds)
    assert wrong_verdicts.check(0, 20.0) == ("holds", "a case is missed by -1.05 only")
