"""Compare routes to a proof: time to the first feasible point, gap over time, time to a proven gap of 1e-4.

    python benchmarks/proof_experiment.py --seconds 60 --output proof-experiment
    python benchmarks/proof_experiment.py --groups shipped --routes omlt started exact --seconds 10
    python benchmarks/proof_experiment.py --merge proof-experiment/trace.csv --routes --output proof-experiment

Maximizes outputs of networks over boxes, and one model with windows on outputs. Each run has a process of its own,
which is ended soon after the time limit. Everything counts: search, tightening, building, HiGHS. Writes ``trace.csv``
(instance, route, seconds, value, bound), ``table.md`` and plots; ``--merge`` takes up runs of earlier trace files.

The experiment follows Perakis and Tsiourvas (arXiv 2205.14189: HiGHS cold or started with a local search's point) and
Plate et al. (arXiv 2502.03016: tighter bounds, rescaling, stable neurons).
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from machine import describe_machine
from proof_instances import GROUPS, Instance
from proof_results import Trace, TraceFile, read_traces, report
from proof_routes import ROUTES, Watch

#: Seconds beyond the time limit after which a run's process ends itself, and its exit code then.
OVERTIME, LATE = 1.0, 99


def main() -> None:
    options = _arguments()
    print(describe_machine(), flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    traces = read_traces(options.merge)
    with TraceFile(options.output / "trace.csv", traces) as file:
        for instance in itertools.chain(*(GROUPS[group]() for group in options.groups if options.routes)):
            if not any(text in instance.name for text in options.match):
                continue
            for route in options.routes:
                trace = run(instance, route, options.seconds, options.seed, options.cpu)
                traces[instance.name, route] = trace
                file.add(instance.name, route, trace)
                print(f"{instance.name:26} {route:18} {trace}", flush=True)
    report(options.output, traces, options.seconds, options.plots)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=[*GROUPS])
    parser.add_argument("--match", nargs="+", default=[""], help="only instances whose name contains one of these")
    parser.add_argument("--routes", nargs="*", choices=ROUTES, default=[*ROUTES], help="none: only merge and report")
    parser.add_argument("--seconds", type=float, default=60.0, help="per run (default 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu", action="store_true", help="count each run's processor time: for machines under load")
    parser.add_argument("--merge", nargs="+", type=Path, default=[], metavar="FILE", help="trace.csv of earlier calls")
    parser.add_argument("--plots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--output", type=Path, default=Path("proof-experiment"))
    return parser.parse_args()


# --- runs -----------------------------------------------------------------------------------------------------------


def run(instance: Instance, route: str, seconds: float, seed: int, cpu: bool) -> Trace:
    """One run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run_here, args=(theirs, instance, route, seconds, seed, cpu))
    process.start()
    theirs.close()
    moments, end = [], None
    try:
        while end is None:
            message = ours.recv()
            end = message if isinstance(message, float) else moments.append(message)
    except EOFError:
        process.join()
        if process.exitcode != LATE:
            raise SystemExit(f"{route} failed on {instance.name}; its message is above") from None
    finally:
        process.kill()
        process.join()
    end = seconds if end is None else min(end, seconds)
    return Trace(tuple(moment for moment in moments if moment[0] <= end), end)


def _run_here(pipe: Connection, instance: Instance, route: str, seconds: float, seed: int, cpu: bool) -> None:
    if cpu:
        time.perf_counter = time.process_time
    watch = Watch(seconds, seed, lambda *moment: pipe.send(moment))
    Thread(target=_end_late, args=(watch,), daemon=True).start()
    ROUTES[route](instance, watch)
    pipe.send(watch.elapsed)


def _end_late(watch: Watch) -> None:
    """End the process where HiGHS does not look at the clock."""
    while watch.elapsed < watch.seconds + OVERTIME:
        time.sleep(0.1)
    os._exit(LATE)


if __name__ == "__main__":
    main()
