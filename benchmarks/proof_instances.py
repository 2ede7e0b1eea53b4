"""Instances for the experiment on proofs: real networks, the examples' networks, random ones, and random models."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
from drawn_networks import torch_default_network
from search_instances import ONNX_FOLDER

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from random_models import as_pyomo, random_problem

from pyomo_relugrad import Network, ReluNetworkBlock, load_onnx
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.readers.vnnlib import load_vnnlib

EXAMPLES = Path(__file__).parents[1] / "examples"
ACAS = "ACASXU_run2a_1_1_batch_2000.onnx"
#: What a window on an output may be missed by.
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Instance:
    """Maximize ``weights @ network(x) + input_weights @ x`` over a box, some outputs within windows.

    Parameters
    ----------
    name : str
    network : Network
    lower, upper : (n_inputs,) arrays
    weights : (n_outputs,) array
    input_weights : (n_inputs,) array, optional
        Zero by default.
    windows : tuple of (output, lower, upper), optional
    """

    name: str
    network: Network
    lower: np.ndarray
    upper: np.ndarray
    weights: np.ndarray
    input_weights: np.ndarray | None = None
    windows: tuple[tuple[int, float, float], ...] = field(default=())

    def model(self, network: Network | None = None) -> pyo.ConcreteModel:
        """The Pyomo model; another network with the same values may take the place of this one."""
        m = pyo.ConcreteModel(self.name)
        sides = list(zip(self.lower.tolist(), self.upper.tolist(), strict=True))
        m.x = pyo.Var(range(self.network.n_inputs), bounds=lambda m, i: sides[i])
        m.nn = ReluNetworkBlock(network=network or self.network, inputs=m.x)
        terms = [float(w) * m.nn.outputs[k] for k, w in enumerate(self.weights) if w]
        if self.input_weights is not None:
            terms += [float(w) * m.x[i] for i, w in enumerate(self.input_weights) if w]
        m.objective = pyo.Objective(expr=pyo.quicksum(terms), sense=pyo.maximize)
        m.windows = pyo.Constraint(
            range(len(self.windows)), rule=lambda m, w: _window(m.nn.outputs[self.windows[w][0]], *self.windows[w][1:])
        )
        return m

    @staticmethod
    def variables(m: pyo.ConcreteModel) -> Iterable[pyo.Var]:
        """The variables of the model whose values `judge` takes."""
        return m.x.values()

    def judge(self, x: np.ndarray) -> float:
        """The objective at inputs (n_inputs,) by the network itself; minus infinity where they are not feasible."""
        if (x < self.lower - TOLERANCE).any() or (x > self.upper + TOLERANCE).any():
            return -np.inf
        x = np.clip(x, self.lower, self.upper)
        y = self.network.value(x[None])[0]
        if any(not low - TOLERANCE <= y[k] <= high + TOLERANCE for k, low, high in self.windows):
            return -np.inf
        return float(self.weights @ y + (0.0 if self.input_weights is None else self.input_weights @ x))


@dataclass(frozen=True, eq=False)
class ModelInstance:
    """A problem with rows, integers or several networks; its negative objective is maximized.

    Parameters
    ----------
    name : str
    problem : Problem
        To be minimized.
    """

    name: str
    problem: Problem

    def model(self) -> pyo.ConcreteModel:
        """The Pyomo model."""
        m = as_pyomo(self.problem)
        m.objective.deactivate()
        least = m.objective.expr
        m.profit = pyo.Objective(expr=least if self.problem.maximize else -least, sense=pyo.maximize)
        return m

    @staticmethod
    def variables(m: pyo.ConcreteModel) -> Iterable[pyo.Var]:
        """The variables of the model whose values `judge` takes."""
        return m.v.values()

    def judge(self, x: np.ndarray) -> float:
        """The objective at values (n,) of all columns by the networks; minus infinity where they are not feasible."""
        point = self.problem.incumbent(np.where(self.problem.integers, np.round(x), x))
        return -point.objective if point.is_feasible else -np.inf


def _window(output: pyo.Var, low: float, high: float) -> tuple:
    return (low if np.isfinite(low) else None, output, high if np.isfinite(high) else None)


def real_networks() -> Iterator[Instance]:
    """Networks of the VNN-COMP and Marabou collections, where the folder with the files is present."""
    folder = ONNX_FOLDER / "vnncomp"
    yield from _cube(folder / "tllBench_n=2_N=M=8_m=1_instance_0_0.onnx", "TLL lattice", 2.0)
    for name in ("cartpole", "robot", "gcas", "lunarlander"):
        yield from _cube(folder / f"{name}.onnx", name, 1.0)
    for number in (1, 3):
        file = folder / f"acasxu_prop_{number}.vnnlib"
        if file.exists():
            (case,) = load_vnnlib(file).cases
            yield _first_output(f"ACAS Xu 1_1, property {number}", load_onnx(folder / ACAS), case.lower, case.upper)
    file = ONNX_FOLDER / "marabou" / "mnist2x10.onnx"
    if file.exists():
        yield _first_output("MNIST 2x10", load_onnx(file), np.zeros(784), np.ones(784))
    file = folder / "mnist_fc_prop_0_0.03.vnnlib"
    if file.exists():
        yield _adversarial("MNIST 2x256, ball", load_onnx(folder / "mnist-net_256x2.onnx"), file)


def _cube(file: Path, name: str, half_width: float) -> Iterator[Instance]:
    if file.exists():
        network = load_onnx(file)
        side = np.full(network.n_inputs, half_width)
        yield _first_output(name, network, -side, side)


def _first_output(name: str, network: Network, lower: np.ndarray, upper: np.ndarray) -> Instance:
    return Instance(name, network, lower, upper, np.eye(network.n_outputs)[0])


def _adversarial(name: str, network: Network, property_file: Path) -> Instance:
    """The second-largest output minus the largest, over the box that the property asks about."""
    case = load_vnnlib(property_file).cases[0]
    order = np.argsort(-network.value((case.lower + case.upper)[None] / 2)[0])
    weights = np.zeros(network.n_outputs)
    weights[order[:2]] = -1.0, 1.0
    return Instance(name, network, case.lower, case.upper, weights)


def shipped_networks() -> Iterator[Instance]:
    """The networks that the examples train, over the ranges of their data."""
    network = load_onnx(EXAMPLES / "acceptance.onnx")
    largest = np.array([75.0, 150.0, 57.0, 60.0, 5.0])
    yield _first_output("acceptance", network, np.array([20.0, 12.0, 0.0, 0.0, 0.0]), largest)
    with (EXAMPLES / "plant.csv").open() as file:
        records = np.array([row[:4] for row in csv.reader(file)][1:], np.float64)
    yield _first_output("plant", load_onnx(EXAMPLES / "plant.onnx"), records.min(axis=0), records.max(axis=0))
    network = load_onnx(EXAMPLES / "reactor.onnx")
    lower, upper = np.repeat([320.0, 1.0], 3), np.repeat([390.0, 20.0], 3)
    yield Instance("reactor, yield", network, lower, upper, np.eye(4)[1])
    windows = ((0, 70.0, 80.0), (1, 58.0, np.inf), (2, -np.inf, 13.0), (3, -np.inf, 100.0))
    yield Instance("reactor, windows", network, lower, upper, np.zeros(4), -np.repeat([0.0, 1.0], 3), windows)
    yield _first_output("response times", load_onnx(EXAMPLES / "response_times.onnx"), np.zeros(14), np.ones(14))
    yield _first_output("digits", load_onnx(EXAMPLES / "digits.onnx"), np.zeros(64), np.ones(64))


def random_networks() -> Iterator[Instance]:
    """PyTorch's default initialisation, seed 50, inputs in [0, 1] (arXiv 2401.03451)."""
    for n_inputs, depth in ((10, 2), (100, 2), (100, 3)):
        network = torch_default_network(n_inputs, [100] * depth, 50)
        yield _first_output(f"random {n_inputs}-{depth}x100", network, np.zeros(n_inputs), np.ones(n_inputs))


def other_boxes() -> Iterator[Instance]:
    """Ten more boxes, which nothing was chosen by."""
    folder = ONNX_FOLDER / "vnncomp"
    for network, number in (("2_7", 3), ("3_3", 4)):
        file = folder / f"acasxu_prop_{number}.vnnlib"
        if file.exists():
            (case,) = load_vnnlib(file).cases
            loaded = load_onnx(folder / f"ACASXU_run2a_{network}_batch_2000.onnx")
            yield _first_output(f"ACAS Xu {network}, property {number}", loaded, case.lower, case.upper)
    for name, output, half_width in (("cartpole", 1, 0.5), ("robot", 1, 0.5), ("lunarlander", 2, 0.3)):
        file = folder / f"{name}.onnx"
        if file.exists():
            network = load_onnx(file)
            side = np.full(network.n_inputs, half_width)
            yield Instance(f"{name}, {half_width}", network, -side, side, np.eye(network.n_outputs)[output])
    file = folder / "mnist_fc_prop_10_0.03.vnnlib"
    if file.exists():
        yield replace(
            _adversarial("", load_onnx(folder / "mnist-net_256x2.onnx"), file), name="MNIST 2x256, another ball"
        )
    digits = load_onnx(EXAMPLES / "digits.onnx")
    yield Instance("digits, output 3", digits, np.zeros(64), np.ones(64), np.eye(10)[3])
    for n_inputs, widths in ((6, [40, 40]), (40, [30]), (100, [16, 16])):
        network = torch_default_network(n_inputs, widths, 51)
        name = f"random {n_inputs}-{'-'.join(map(str, widths))}"
        yield _first_output(name, network, np.zeros(n_inputs), np.ones(n_inputs))


def random_constrained_models() -> Iterator[ModelInstance]:
    """Ten models with windows, equations, integers, chained and shared networks, a small and a large one of each."""
    for family in ("window", "equality", "integer", "chained", "shared"):
        yield ModelInstance(f"{family}, small", random_problem(family, 21))
        yield ModelInstance(f"{family}, large", random_problem(family, 20, is_large=True))


GROUPS = {
    "real": real_networks,
    "shipped": shipped_networks,
    "random": random_networks,
    "boxes": other_boxes,
    "models": random_constrained_models,
}
