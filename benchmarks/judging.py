"""Random cases judged one after another by several processes: the command line, the processes and the table."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from judgement import Judgement

#: Faults of one kind that are printed.
FAULTS_SHOWN = 20

#: Seconds without a word after which a process is ended: a step in C cannot be interrupted in another way.
HANGS_AFTER = 60.0

#: Bytes that a process may take.
MEMORY = 4 * 2**30


@dataclass(frozen=True)
class Case:
    """One case: the seed of the run, its number, and what is left out."""

    seed: int
    index: int
    without: tuple[str, ...] = ()


Judge = Callable[[Case, Callable[[str], None]], list[Judgement]]
"""Judges a case; it says what it is about to do, `UNDER_TEST` or something else, since both may end the process."""

UNDER_TEST = "in the package"


@dataclass
class Worker:
    """A process that judges a share of the cases, one after another."""

    process: BaseProcess
    share: range
    current: int | None = None
    step: str = ""
    since: float = field(default_factory=time.monotonic)


def main(description: str, judge: Judge, show: Callable[[Case], None], count: int, seconds_are: str) -> int:
    """Judge the cases that the command line asks for; 1 if there are faults.

    Parameters
    ----------
    description : str
    judge : function
        Of a module, so that processes find it.
    show : function
        Prints a case that is replayed.
    count : int
        Number of cases by default.
    seconds_are : str
        What the largest of `Judgement.seconds` is called in the last line.
    """
    arguments = _parser(description, count).parse_args()
    if arguments.replay is not None:
        return _replay(Case(arguments.seed, arguments.replay, tuple(arguments.without)), judge, show)
    outcomes, most, start = Counter[str](), 0.0, time.monotonic()
    cases = set()
    for index, judgement in judged(judge, arguments):
        cases.add(index)
        outcomes[judgement.outcome] += 1
        most = max(most, judgement.seconds)
        if judgement.fault and outcomes[judgement.outcome] <= FAULTS_SHOWN:
            print(f"{judgement.outcome}: {judgement.fault[:300]}\n    {_command(arguments, index)}", flush=True)
    for outcome, number in sorted(outcomes.items(), key=lambda item: (item[0].split(":")[0], -item[1])):
        print(f"{number:8} {outcome}")
    faults = sum(number for outcome, number in outcomes.items() if "FAULT" in outcome)
    print(f"{len(cases)} cases in {time.monotonic() - start:.0f} s, {faults} faults; {seconds_are} {most:.2f} s")
    return int(faults > 0)


def _parser(description: str, count: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count, help="cases")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--without", nargs="*", default=[], help="what to leave out, by the generators' names")
    parser.add_argument("--replay", type=int, help="print and judge the case of this number alone")
    return parser


def _replay(case: Case, judge: Judge, show: Callable[[Case], None]) -> int:
    show(case)
    judgements = judge(case, lambda step: None)
    for judgement in judgements:
        print(judgement.outcome, judgement.fault, sep="\n    ")
    return int(any(judgement.fault for judgement in judgements))


def _command(arguments: argparse.Namespace, index: int) -> str:
    without = f" --without {' '.join(map(repr, arguments.without))}" if arguments.without else ""
    return f"python {sys.argv[0]} --seed {arguments.seed} --replay {index}{without}"


def judged(judge: Judge, arguments: argparse.Namespace) -> Iterator[tuple[int, Judgement]]:
    """Number and judgements of each case, by several processes; one that ends or hangs is replaced."""
    end, stop = time.monotonic() + arguments.seconds, arguments.first + arguments.count
    waiting = [range(arguments.first + place, stop, arguments.processes) for place in range(arguments.processes)]
    workers: dict[Connection, Worker] = {}
    while waiting or workers:
        while waiting:
            share = waiting.pop()
            if share and time.monotonic() < end:
                receiver, process = _begin(judge, arguments, share, end)
                workers[receiver] = Worker(process, share)
        for receiver in wait(list(workers), timeout=10.0):
            worker = workers[receiver]
            worker.since = time.monotonic()
            try:
                message = receiver.recv()
            except EOFError:
                worker.process.join()
                del workers[receiver]
                if worker.current is not None:
                    yield worker.current, _ended(worker)
                    waiting.append(worker.share[worker.share.index(worker.current) + 1 :])
                continue
            if isinstance(message, int):
                worker.current = message
            elif isinstance(message, str):
                worker.step = message
            if not isinstance(message, list):
                continue
            yield from ((worker.current, judgement) for judgement in message)
            worker.current = None
        for worker in workers.values():
            if time.monotonic() - worker.since > HANGS_AFTER:
                worker.process.kill()


def _ended(worker: Worker) -> Judgement:
    if worker.step == UNDER_TEST or worker.process.exitcode > 0:  # an exception in the harness itself
        return Judgement(f"FAULT: process ended {worker.step}", f"exit status {worker.process.exitcode}")
    return Judgement(f"process ended {worker.step}")


def _begin(judge: Judge, arguments: argparse.Namespace, share: range, end: float) -> tuple[Connection, BaseProcess]:
    """A process for a share of the cases, and where its messages arrive."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    seconds = end - time.monotonic()
    process = context.Process(
        target=_work, args=(sender, judge, arguments.seed, share, tuple(arguments.without), seconds)
    )
    process.start()
    sender.close()
    return receiver, process


def _work(sender: Connection, judge: Judge, seed: int, share: range, without: tuple[str, ...], seconds: float) -> None:
    """Judge cases in a process of its own: a number is sent before each, so that one that ends it is known."""
    end = time.monotonic() + seconds
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - libraries print what is told in the table
    for index in share:
        if time.monotonic() > end:
            return
        sender.send(index)
        sender.send(judge(Case(seed, index, without), sender.send))
