"""The search of today against that of an earlier version, on networks whose seeds were used for nothing else.

    python benchmarks/earlier.py run today.csv --seconds 5
    PYTHONPATH=/path/to/earlier python benchmarks/earlier.py run earlier.csv --seconds 10
    python benchmarks/earlier.py compare today.csv earlier.csv --at 5 --against 10

Twelve networks for each seed: of the Relaxing Walk family and wider, up to 10,000 inputs. ``--threads 1`` keeps to one
core, ``--processor`` counts the process's own time: for machines under load.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from drawn_networks import torch_default_network
from machine import describe_machine
from search_results import History, RunFile, Runs, read_runs

from pyomo_relugrad import maximize

#: Inputs, layers and width.
SHAPES = [
    (100, 2, 100),
    (100, 3, 500),
    *((1000, depth, width) for depth in (1, 2, 3) for width in (100, 500)),
    *((10000, depth, width) for depth, width in ((1, 100), (2, 200), (4, 100), (5, 100))),
]
#: Worse by more than this, relative, is worse; so is more than the second after a second, against the best known.
WORSE, WORSE_AFTER_A_SECOND = 5e-4, 5e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    run = modes.add_parser("run")
    run.add_argument("file", type=Path)
    run.add_argument("--seconds", type=float, default=5.0)
    run.add_argument("--net-seeds", type=int, nargs="+", default=[60, 61])
    run.add_argument("--seeds", type=int, nargs="+", default=[0])
    run.add_argument("--match", default="")
    run.add_argument("--threads", type=int)
    run.add_argument("--processor", action="store_true")
    comparison = modes.add_parser("compare")
    comparison.add_argument("today", type=Path)
    comparison.add_argument("earlier", type=Path)
    comparison.add_argument("--at", type=float, default=5.0)
    comparison.add_argument("--against", type=float, default=10.0)
    arguments = parser.parse_args()
    if arguments.mode == "run":
        run_all(arguments)
    else:
        compare(read_runs([arguments.today]), read_runs([arguments.earlier]), arguments.at, arguments.against)


def run_all(arguments: argparse.Namespace) -> None:
    """Solve all instances, those that the file has already left out."""
    print(describe_machine())
    if arguments.processor:
        time.perf_counter = time.process_time
    known = read_runs([arguments.file]) if arguments.file.exists() else {}
    options = {} if arguments.threads is None else {"threads": arguments.threads}
    with RunFile(arguments.file, known) as file:
        for net_seed in arguments.net_seeds:
            for n, depth, width in SHAPES:
                name = f"{n}-{depth}x{width}-s{net_seed}"
                missing = [seed for seed in arguments.seeds if (name, "auto", seed) not in known]
                network = torch_default_network(n, [width] * depth, net_seed) if arguments.match in name else None
                for seed in missing if network else ():
                    best = maximize(network, lower=0, upper=1, time_limit=arguments.seconds, seed=seed, **options)
                    file.add(name, "auto", seed, list(best.history))
                    print(f"{name:18} {seed} {best.value:.6f}", flush=True)


def compare(today: Runs, earlier: Runs, at: float, against: float) -> None:
    """Print values, and how often each is behind."""
    print(f"{'instance':18}{'seed':>5}{'at 1 s':>11}{f'at {at:g} s':>11}{f'then, {against:g} s':>15}{'ahead by':>10}")
    ahead, far, slow = 0, 0, 0
    shared = [key for key in today if key in earlier]
    for name, method, seed in shared:
        histories = today[name, method, seed], earlier[name, method, seed]
        first, own, other = value(histories[0], 1.0), value(histories[0], at), value(histories[1], against)
        best = max(value(history, 1e9) for history in histories)
        lead = (own - other) / abs(other)
        ahead, far = ahead + (lead >= -1e-6), far + (lead < -WORSE)
        slow += first < best - WORSE_AFTER_A_SECOND * abs(best)
        print(f"{name:18}{seed:5}{first:11.6f}{own:11.6f}{other:15.6f}{lead:10.3%}")
    print(f"of {len(shared)}: at or above {ahead}, worse by more than {WORSE:.2%} {far}, "
          f"after 1 s more than {WORSE_AFTER_A_SECOND:.1%} below the best known {slow}")  # fmt: skip


def value(history: History, limit: float) -> float:
    """The best value by so many seconds."""
    return max((value for moment, value in history if moment <= limit), default=float("-inf"))


if __name__ == "__main__":
    main()
