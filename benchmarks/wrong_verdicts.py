"""Whether a verdict is ever wrong: small random properties, each also decided by OMLT and HiGHS, or SCIP.

Each property is written as a VNN-LIB 2.0 file and read again. A fifth of each kind:

- one network of ReLUs, one to three cases of one or two rows;
- cases with boxes of their own, and rows on inputs;
- two networks of ReLUs, all or some of whose inputs are linked, and rows on both outputs;
- a smooth network, alone or beside one of ReLUs: decided by SCIP (`pip install pyscipopt`), else left out;
- whole numbers alone, with limits that an input is known to meet exactly, or to miss by one.

The limits of the rows are near the smallest values that they have, so that about half of the properties hold. The other
program minimizes the largest violation of each case; where that is within 1e-5 of zero, either answer is right, unless
an input is known that meets a case exactly. Counterexamples are evaluated. Any wrong answer is printed with its seed,
and makes the exit code 1.

    OPENBLAS_NUM_THREADS=1 python benchmarks/wrong_verdicts.py --count 2000
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyomo.environ as pyo
from omlt import OmltBlock
from omlt.neuralnet import FullSpaceNNFormulation, NetworkDefinition, ReluBigMFormulation
from omlt.neuralnet.layer import DenseLayer, InputLayer

from pyomo_relugrad import Network, verify
from pyomo_relugrad.network.curves import SIGMOID, SOFTPLUS, TANH
from pyomo_relugrad.readers.vnnlib import parse_vnnlib

#: Violations that are nearer to zero decide nothing.
UNDECIDED = 1e-5
KINDS = ("one network", "own boxes", "two networks", "smooth", "whole numbers")
SIZES = ((2, 6, 2), (3, 5, 4, 2), (4, 6, 5, 2), (6, 8, 2))
SMOOTH_SIZES = ((2, 4, 1), (3, 4, 1), (2, 3, 3, 1))
CURVES = {"tanh": TANH, "sigmoid": SIGMOID, "softplus": SOFTPLUS}


@dataclass(frozen=True, eq=False)
class RandomCase:
    """``rows @ (x, y) <= limits`` over a box, with pairs of equal inputs; an input may be known that meets it."""

    lower: np.ndarray
    upper: np.ndarray
    rows: np.ndarray
    limits: np.ndarray
    links: tuple[tuple[int, int], ...] = ()
    is_met: bool = False

    def text(self, names: list[str]) -> str:
        """The case as a condition on entries of those names, inputs first."""
        parts = [
            f"(<= {name} {high!r}) (>= {name} {low!r})"
            for name, low, high in zip(names, self.lower.tolist(), self.upper.tolist(), strict=False)
        ]
        parts += [f"(== {names[i]} {names[j]})" for i, j in self.links]
        for row, limit in zip(self.rows.tolist(), self.limits.tolist(), strict=True):
            terms = " ".join(f"(* {value!r} {name})" for value, name in zip(row, names, strict=True) if value)
            parts.append(f"(<= (+ {terms} 0) {limit!r})")
        return f"(and {' '.join(parts)})"


@dataclass(frozen=True, eq=False)
class RandomProperty:
    """Networks and cases."""

    kind: str
    networks: tuple[Network, ...]
    cases: tuple[RandomCase, ...]

    def text(self) -> str:
        """The property in VNN-LIB 2.0."""
        lines, inputs, outputs = ["(vnnlib-version <2.0>)"], list[str](), list[str]()
        for k, network in enumerate(self.networks):
            n, m = network.n_inputs, network.n_outputs
            lines.append(f"(declare-network f{k} (declare-input X{k} real [{n}]) (declare-output Y{k} real [1,{m}]))")
            inputs += [f"X{k}[{i}]" for i in range(n)]
            outputs += [f"Y{k}[0,{i}]" for i in range(m)]
        cases = [case.text(inputs + outputs) for case in self.cases]
        return "\n".join([*lines, f"(assert {cases[0] if len(cases) == 1 else f'(or {chr(10).join(cases)})'})"])

    def values(self, x: np.ndarray) -> np.ndarray:
        """Inputs and outputs (B, n + m) of all networks."""
        parts, begin = [x], 0
        for network in self.networks:
            parts.append(network.value(x[:, begin : begin + network.n_inputs]))
            begin += network.n_inputs
        return np.concatenate(parts, axis=1)


# --- random properties ----------------------------------------------------------------------------------------------


def random_property(seed: int) -> RandomProperty:
    """The property of a seed; kinds take turns."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    if kind == "two networks":
        n = int(rng.integers(2, 5))
        first = _network(rng, (n, int(rng.integers(4, 8)), 2))
        others = (first, _network(rng, (n, 4, 3, 2)), _nudged(rng, first))
        networks = (first, others[int(rng.integers(3))])
    elif kind == "smooth":
        sizes = SMOOTH_SIZES[int(rng.integers(len(SMOOTH_SIZES)))]
        networks = (_network(rng, sizes, str(rng.choice(list(CURVES)))),)
        if rng.random() < 0.5:
            networks = (*networks, _network(rng, (sizes[0], 4, 1)))
    else:
        networks = (_network(rng, SIZES[int(rng.integers(len(SIZES)))]),)
    if kind == "whole numbers":
        networks = (_rounded(networks[0]),)
    empty = RandomProperty(kind, networks, ())
    return RandomProperty(kind, networks, tuple(_case(rng, empty) for _ in range(int(rng.integers(1, 4)))))


def _network(rng: np.random.Generator, sizes: tuple[int, ...], curve: str = "") -> Network:
    weights = [rng.normal(size=(m, n)) * np.sqrt(2.0 / n) for n, m in pairwise(sizes)]
    biases = [0.3 * rng.normal(size=size) for size in sizes[1:]]
    return Network.from_layers(weights, biases, curve, CURVES[curve]) if curve else Network.from_layers(weights, biases)


def _rounded(network: Network) -> Network:
    layers = network.layers
    return Network.from_layers(
        [np.round(2.0 * own.weights[0]) for own in layers], [np.round(own.bias) for own in layers]
    )


def _nudged(rng: np.random.Generator, network: Network) -> Network:
    weights = [layer.weights[0] * (1.0 + 0.05 * rng.normal(size=layer.weights[0].shape)) for layer in network.layers]
    return Network.from_layers(weights, [layer.bias for layer in network.layers])


def _case(rng: np.random.Generator, asked: RandomProperty) -> RandomCase:
    """A case whose rows can nearly be met, or just."""
    n = sum(network.n_inputs for network in asked.networks)
    if asked.kind == "whole numbers":
        x = rng.integers(-2, 3, (50, n)).astype(float)
        rows = rng.integers(-2, 3, (int(rng.integers(1, 3)), n + asked.networks[0].n_outputs)).astype(float)
        products = asked.values(x) @ rows.T
        missed_by = float(rng.integers(2))
        limits = products[np.argmin(products.max(axis=1))] - missed_by
        return RandomCase(np.full(n, -2.0), np.full(n, 2.0), rows, limits, is_met=not missed_by)
    own = rng.uniform(-1.0, 0.3, n), rng.uniform(0.4, 1.0, n)
    lower, upper = own if asked.kind == "own boxes" else (-np.ones(n), np.ones(n))
    links: tuple[tuple[int, int], ...] = ()
    if len(asked.networks) == 2:
        half = n // 2
        linked = range(half) if rng.random() < 0.7 else range(1, half)
        links = tuple((i, half + i) for i in linked)
    x = rng.uniform(lower, upper, (500, n))
    for i, j in links:
        x[:, j] = x[:, i]
    values = asked.values(x)
    rows = np.zeros((int(rng.integers(1, 3)), values.shape[1]))
    rows[:, n:] = rng.normal(size=(len(rows), values.shape[1] - n))
    if asked.kind == "own boxes":
        rows[:, :n] = 0.3 * rng.normal(size=(len(rows), n))
    products = values @ rows.T
    # One limit for all rows, from the best point of all: not from each row's own.
    spread = np.ptp(products, axis=0)
    best = products[np.argmin((products / spread).max(axis=1))]
    return RandomCase(lower, upper, rows, best + spread * rng.uniform(-0.25, 0.02), links)


# --- the other program ----------------------------------------------------------------------------------------------


def least_violation(asked: RandomProperty, case: RandomCase) -> float:
    """The smallest value of a case's largest violation, by OMLT and HiGHS or SCIP."""
    m = pyo.ConcreteModel()
    n = case.lower.size
    m.x = pyo.Var(range(n), bounds=lambda m, i: (case.lower[i], case.upper[i]))
    m.violation = pyo.Var()
    m.linked = pyo.ConstraintList()
    for i, j in case.links:
        m.linked.add(m.x[i] == m.x[j])
    outputs, begin = [], 0
    for k, network in enumerate(asked.networks):
        block = OmltBlock()
        m.add_component(f"network{k}", block)
        box = {i: (float(case.lower[begin + i]), float(case.upper[begin + i])) for i in range(network.n_inputs)}
        block.build_formulation(_formulation(network, box))
        for i in range(network.n_inputs):
            m.linked.add(block.inputs[i] == m.x[begin + i])
        outputs += [block.outputs[i] for i in range(network.n_outputs)]
        begin += network.n_inputs
    entries = [*m.x.values(), *outputs]
    m.rows = pyo.Constraint(
        range(len(case.limits)),
        rule=lambda m, r: (
            sum(float(w) * v for w, v in zip(case.rows[r], entries, strict=True)) - case.limits[r] <= m.violation
        ),
    )
    m.objective = pyo.Objective(expr=m.violation)
    if asked.kind == "smooth":
        solver = pyo.SolverFactory("scip_direct")
        solver.solve(m, solver_options={"limits/absgap": UNDECIDED / 10, "limits/gap": 0.0, "limits/time": 60.0})
    else:
        solver = pyo.SolverFactory("appsi_highs")
        solver.highs_options = {"mip_rel_gap": 0.0, "mip_abs_gap": UNDECIDED / 10, "threads": 1}
        try:
            solver.solve(m)
        except RuntimeError:  # HiGHS has ended without a point, though every model has one
            solver.highs_options = {**solver.highs_options, "presolve": "off"}
            solver.solve(m)
    return float(pyo.value(m.violation))


def _formulation(network: Network, box: dict[int, tuple[float, float]]) -> object:
    """OMLT's statement of a dense network; its activation is in its name."""
    net = NetworkDefinition(scaled_input_bounds=box)
    previous = InputLayer([network.n_inputs])
    net.add_layer(previous)
    for k, layer in enumerate(network.layers):
        is_last = k == len(network.layers) - 1
        activation = "linear" if is_last else network.name or "relu"
        dense = DenseLayer(
            previous.output_size,
            [layer.width],
            activation=activation,
            weights=layer.weights[0].T.copy(),
            biases=layer.bias.copy(),
        )
        net.add_layer(dense)
        net.add_edge(previous, dense)
        previous = dense
    return FullSpaceNNFormulation(net) if network.name else ReluBigMFormulation(net)


# --- verdicts -------------------------------------------------------------------------------------------------------


def check(seed: int, time_limit: float) -> tuple[str, str]:
    """The answer to the property of a seed, and what is wrong with it."""
    asked = random_property(seed)
    property_ = parse_vnnlib(asked.text())
    networks = {f"f{k}": network for k, network in enumerate(asked.networks)}
    verdict = verify(networks, property_, time_limit=time_limit, seed=seed)
    least = min(least_violation(asked, case) for case in asked.cases)
    answer = verdict.answer.value
    if answer == "violated":
        x = verdict.counterexample.x
        values = asked.values(x[None])[0]
        met = [
            (x >= case.lower).all() and (x <= case.upper).all() and all(x[i] == x[j] for i, j in case.links)
            and (case.rows @ values - case.limits).max() <= 1e-12
            for case in asked.cases
        ]  # fmt: skip
        wrong = "" if any(met) else "its counterexample is none"
    else:
        wrong = f"a case is missed by {least:.3g} only" if answer == "holds" and least < -UNDECIDED else ""
        if answer == "holds" and any(case.is_met for case in asked.cases):
            wrong = "a known input meets a case exactly"
    if answer == "violated" and least > UNDECIDED:
        wrong = f"the other program says that every input misses it by {least:.3g}"
    return answer, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="properties (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first (default 0)")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds of each verdict (default 20)")
    arguments = parser.parse_args()
    logging.getLogger("pyomo").setLevel(logging.ERROR)  # OMLT sets variables outside their bounds
    has_scip = pyo.SolverFactory("scip_direct").available(exception_flag=False)
    answers, wrong, begin = Counter[tuple[str, str]](), 0, time.perf_counter()
    for seed in range(arguments.first, arguments.first + arguments.count):
        kind = KINDS[seed % len(KINDS)]
        if kind == "smooth" and not has_scip:
            answers[kind, "left out"] += 1
            continue
        answer, fault = check(seed, arguments.time_limit)
        answers[kind, answer] += 1
        if fault:
            wrong += 1
            print(f"seed {seed}, {kind}: {answer}, but {fault}", flush=True)
    for kind in KINDS:
        print(
            f"{kind:14}",
            ", ".join(f"{count} {answer}" for (own, answer), count in sorted(answers.items()) if own == kind),
        )
    print(f"{wrong} of {sum(answers.values())} wrong, {time.perf_counter() - begin:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
