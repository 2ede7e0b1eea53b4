"""Networks of 10,000 inputs through Pyomo's solver with default settings, against `maximize` with one thread.

    python benchmarks/wide_inputs.py --seconds 10

Times are wall-clock times: of building the model, of the call of `solve`, and by how much it went over its limit.
"""

from __future__ import annotations

import argparse
import time

import pyomo.environ as pyo
from drawn_networks import torch_default_network
from machine import describe_machine

import pyomo_relugrad as relugrad

DEPTHS = [4, 5]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--net-seeds", type=int, nargs="+", default=[50])
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"{'instance':18}{'built':>8}{'solve':>9}{'over':>7}{'solve':>11}{'maximize':>11}{'ahead by':>10}")
    for net_seed in arguments.net_seeds:
        for depth in arguments.depths:
            compare(10_000, depth, net_seed, arguments.seconds)


def compare(n: int, depth: int, net_seed: int, seconds: float) -> None:
    """Print a row: both find what they can in the same time."""
    network = torch_default_network(n, [100] * depth, net_seed)
    begin = time.perf_counter()
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=(0, 1))
    m.nn = relugrad.ReluNetworkBlock(network=network, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    built = time.perf_counter() - begin
    begin = time.perf_counter()
    pyo.SolverFactory("relugrad").solve(m, time_limit=seconds)
    took = time.perf_counter() - begin
    found = pyo.value(m.best)
    alone = relugrad.maximize(network, lower=0, upper=1, time_limit=seconds, threads=1).value
    name = f"{n}-{depth}x100-s{net_seed}"
    print(f"{name:18}{built:7.2f}s{took:8.2f}s{took - seconds:6.2f}s{found:11.6f}{alone:11.6f}"
          f"{(found - alone) / abs(alone):10.3%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
