"""How many answers of repeated solves over changed boxes are optima that OMLT with HiGHS, or `relugrad.exact`, proves.

The boxes are those of `benchmarks/repeated_solves.py`, solved one after another by one solver object, with the time
limit left at its default. A proof begins with the answer. Each is a line of a file, after which another run goes on.

    python benchmarks/proven_boxes.py proofs.jsonl --boxes 1000 --seconds 60 --routes exact omlt
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
from repeated_solves import AS_GOOD, solved_boxes

#: Gap at which a proof ends: half of what an answer may miss.
GAP = AS_GOOD / 2


@dataclass(frozen=True)
class Proof:
    """The optimum of one box lies between the value of a point and a bound.

    Parameters
    ----------
    seed, box : int
        Of the network and the boxes; boxes are counted from 1, which is the second solve.
    route : str
    value, bound : float
    seconds : float
        Of processor time.
    """

    seed: int
    box: int
    route: str
    value: float
    bound: float
    seconds: float

    @property
    def is_complete(self) -> bool:
        """Whether the value is the optimum, up to what an answer may miss."""
        return self.bound <= self.value + AS_GOOD


def by_exact(m: pyo.ConcreteModel, seconds: float) -> float:
    """The bound that `relugrad.exact` comes to, the model's values being a start."""
    results = pyo.SolverFactory("relugrad.exact").solve(
        m, time_limit=seconds, rel_gap=0, abs_gap=GAP, threads=1, warmstart=True
    )
    return float(results.problem.upper_bound)


def by_omlt(m: pyo.ConcreteModel, seconds: float) -> float:
    """The bound that HiGHS comes to on OMLT's big-M formulation with tightened bounds, started as above."""
    pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation="bigm", bounds="lp")
    opt = pyo.SolverFactory("appsi_highs")
    opt.options.update(time_limit=seconds, mip_rel_gap=0.0, mip_abs_gap=GAP, threads=1)
    return float(opt.solve(m, warmstart=True).problem.upper_bound)


ROUTES: dict[str, Callable[[pyo.ConcreteModel, float], float]] = {"exact": by_exact, "omlt": by_omlt}


def proven(seed: int, box: int, route: str, m: pyo.ConcreteModel, seconds: float) -> Proof:
    """What a route proves of a solved model, which is not changed."""
    copied, begin = m.clone(), time.process_time()
    bound = ROUTES[route](copied, seconds)
    return Proof(seed, box, route, pyo.value(copied.value), bound, time.process_time() - begin)


def known_proofs(path: Path) -> list[Proof]:
    """The proofs in a file, none where there is no file."""
    return [Proof(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def row(name: str, proofs: Sequence[Proof], answers: Sequence[float]) -> str:
    """How many boxes were tried and proven, in what time, and how many of the answers are these optima."""
    complete = [proof for proof in proofs if proof.is_complete]
    boxes = {proof.box: proof.bound for proof in complete}
    met = sum(answers[box - 1] >= bound - AS_GOOD for box, bound in boxes.items())
    took = f"{np.median([proof.seconds for proof in complete]):.1f}" if complete else "-"
    return f"| {name} | {len({proof.box for proof in proofs})} | {len(boxes)} | {took} | {met} |"


def main() -> None:
    """Prove what is not proven, and print what was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a proof; 0 proves nothing anew")
    parser.add_argument(
        "--routes", nargs="+", choices=ROUTES, default=list(ROUTES), help="each where those before failed"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    proofs = [proof for proof in known_proofs(given.file) if proof.seed == given.seed]
    answers = list[float]()
    for box, (m, *_) in enumerate(solved_boxes(given.boxes, given.seed), start=1):
        answers.append(pyo.value(m.value))
        own = [proof for proof in proofs if proof.box == box]
        for route in given.routes if given.seconds else ():
            if any(proof.is_complete or proof.route == route for proof in own):
                continue
            own.append(proven(given.seed, box, route, m, given.seconds))
            proofs.append(own[-1])
            with given.file.open("a") as file:
                file.write(json.dumps(asdict(own[-1])) + "\n")
    print("| route | boxes tried | proven | median seconds | answers within 1e-4 of that |")
    print("|---|---|---|---|---|")
    for route in given.routes:
        print(row(route, [proof for proof in proofs if proof.route == route], answers))
    print(row("all", proofs, answers))


if __name__ == "__main__":
    main()
