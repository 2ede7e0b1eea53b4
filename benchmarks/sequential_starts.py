"""Cost of one start of the sequential method: models with 10 inputs and two small networks.

    python benchmarks/sequential_starts.py

Prints the processor time per start (descent, restoration where needed, and the walk over regions), median over models.
"""

import itertools
import time

import numpy as np

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.run import Budget, SearchContext
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.descent import Descent
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.search import SequentialLp
from pyomo_relugrad.search.sequential.starts import Starts

STARTS = 50


def random_network(rng: np.random.Generator, sizes: tuple[int, ...]) -> Network:
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in pairs]
    return Network.from_layers(weights, [rng.normal(size=b) * 0.3 for b in sizes[1:]])


def model(seed: int) -> Problem:
    """Two 10-16-16-2 networks on the same inputs, a window on one output, a row between two others, a budget."""
    rng = np.random.default_rng(seed)
    networks = tuple(
        EmbeddedNetwork(random_network(rng, (10, 16, 16, 2)), np.arange(10), 10 + 2 * k + np.arange(2))
        for k in range(2)
    )
    rows = np.zeros((3, 14))
    rows[0, 10] = 1.0
    rows[1, [11, 12]] = 1.0
    rows[2, :10] = 1.0
    cost = rng.normal(size=14)
    lower, upper = np.r_[-np.ones(10), np.full(4, -np.inf)], np.r_[np.ones(10), np.full(4, np.inf)]
    free = Problem(cost, lower, upper, networks=networks)
    typical = free.propagate(rng.uniform(-1, 1, size=(200, 14)))
    middle = np.median(typical[:, 10])
    sides = np.array([middle + 0.2, np.quantile(typical[:, 11] + typical[:, 12], 0.4), 2.0])
    return Problem(cost, lower, upper, rows, np.array([middle - 0.2, -np.inf, -np.inf]), sides, networks=networks)


def seconds_per_start(problem: Problem) -> tuple[float, int]:
    """Processor time of a start, and how many of the starts came to a feasible point."""
    method, context = SequentialLp(), SearchContext(Budget(), np.random.default_rng(0))
    surroundings = LinearRelaxation(problem)
    elite = Elite(method.elite_size)
    starts = Starts(method, problem, surroundings, context, elite)
    samples = problem.propagate(surroundings.random_points(64, context.random))
    descent = Descent(method, problem, context, Merit.scaled_to(problem, samples, method.initial_penalty))
    feasible = 0
    begin = time.process_time()
    for _ in range(STARTS):
        points = [point for point in descent.run(starts.next(descent.merit), elite.best) if point is not None]
        for point in points:
            elite.learn(point)
        feasible += any(point.is_feasible for point in points)
    return (time.process_time() - begin) / STARTS, feasible


def main() -> None:
    results = [seconds_per_start(model(seed)) for seed in range(9)]
    milliseconds = 1e3 * np.array([seconds for seconds, _ in results])
    print(f"{len(results)} models, {STARTS} starts each")
    print(f"milliseconds per start: median {np.median(milliseconds):.2f}, largest {milliseconds.max():.2f}")
    print(f"starts that end feasible: {100 * np.mean([count / STARTS for _, count in results]):.0f} %")


if __name__ == "__main__":
    main()
