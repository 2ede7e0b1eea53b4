"""What HiGHS says of the start that Pyomo hands over."""

import io
import re

import pyomo.environ as pyo
from pyomo.common.tee import capture_output


def highs_log(model, **options):
    """The log of HiGHS on a model, started from its values."""
    with capture_output(io.StringIO()) as log:
        results = pyo.SolverFactory("appsi_highs").solve(model, warmstart=True, tee=True, **options)
    pyo.assert_optimal_termination(results)
    return log.getvalue()


def start_value(log):
    """The objective of the start that HiGHS took; its versions write the line differently."""
    line = re.search(r"MIP start solution is feasible[,:] objective value is (\S+)", log)
    assert line, log
    return float(line[1])
