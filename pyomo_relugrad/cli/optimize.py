"""``relugrad maximize`` and ``relugrad minimize``: the inputs in a box with the largest or smallest output."""

import json
import sys
import time
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.exit_codes import ArgumentError, ExitCode
from pyomo_relugrad.cli.values import as_box, or_none, save_vector, shown
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.run import Options, SearchLog, SearchResult, Stop
from pyomo_relugrad.solve import array_problem, refuse_without_end, solve_exactly, solve_locally
from pyomo_relugrad.words import counted


def optimize(arguments: Arguments) -> ExitCode:
    """Search, prove if asked to, and show the best point."""
    begin = time.perf_counter()
    network = load_network(arguments.file)
    if arguments.gap is not None and not arguments.exact:
        raise ArgumentError("--gap says when a proof is good enough: it needs --exact")
    problem = box_problem(network, arguments, maximize=arguments.command == "maximize")
    refuse_without_end(problem)
    options = _options(arguments)
    log = SearchLog([] if arguments.json else [sys.stdout], proves=arguments.exact)
    log.header(problem, options.in_words(arguments.exact), time.perf_counter() - begin)
    started = time.perf_counter()
    with log.ticking(lambda: time.perf_counter() - started):
        solve = solve_exactly if arguments.exact else solve_locally
        result = solve(problem, options, callback=log.progress)
    log.summary(result)
    _show(network, problem, result, arguments)
    if result.incumbent is None:
        return ExitCode.INTERRUPTED if result.stop is Stop.INTERRUPTED else ExitCode.NOTHING_FOUND
    if arguments.save is not None:
        save_vector(result.incumbent.values[: network.n_inputs], arguments.save)
    return ExitCode.FINE


def box_problem(network: Network, arguments: Arguments, maximize: bool = True) -> Problem:
    """The problem of the chosen output over the box.

    Raises
    ------
    ArgumentError
        If the box or the weights do not fit the network, or no output of several is chosen.
    """
    if arguments.lower is None or arguments.upper is None:
        raise ArgumentError("give both --lower and --upper")
    lower, upper = as_box(arguments.lower, arguments.upper, network.n_inputs)
    return array_problem(network, _weights(network, arguments), lower, upper, maximize=maximize)


def _weights(network: Network, arguments: Arguments) -> Array:
    """Weights of the outputs."""
    count = network.n_outputs
    if arguments.weights is not None:
        if arguments.weights.size != count:
            given, wanted = counted(arguments.weights.size, "number"), counted(count, "output")
            raise ArgumentError(f"--weights has {given}, but the network has {wanted}")
        return arguments.weights.reshape(count)
    if arguments.output is None and count > 1:
        raise ArgumentError(f"the network has {count} outputs: choose one of --output 0 to {count - 1}, or --weights")
    chosen = arguments.output or 0
    if chosen >= count:
        raise ArgumentError(f"there is no output {chosen}: the network has {count}, the first is 0")
    return np.eye(count)[chosen]


def _options(arguments: Arguments) -> Options:
    gap = Options.relative_gap if arguments.gap is None else arguments.gap
    return Options(
        time_limit=arguments.time_limit,
        seed=arguments.seed,
        method=arguments.method,
        relative_gap=gap,
        threads=arguments.threads,
        solutions=arguments.solutions,
    )


def _show(network: Network, problem: Problem, result: SearchResult, arguments: Arguments) -> None:
    if arguments.json:
        print(json.dumps(_as_dict(network, problem, result, arguments), indent=2))
        return
    for number, point in enumerate(result.pool[: arguments.solutions]):
        x, y = np.split(point.values, [network.n_inputs])
        title = [f"Solution {number + 1}, objective {problem.reported(point.objective):.8g}"] if number else []
        print(*title, shown("Inputs", x), shown("Outputs", y), sep="\n")


def _as_dict(network: Network, problem: Problem, result: SearchResult, arguments: Arguments) -> dict[str, Any]:
    solutions = [
        {
            "objective": problem.reported(point.objective),
            "inputs": point.values[: network.n_inputs].tolist(),
            "outputs": point.values[network.n_inputs :].tolist(),
        }
        for point in result.pool[: arguments.solutions]
    ]
    best: dict[str, Any] = solutions[0] if solutions else {"objective": None, "inputs": None, "outputs": None}
    return {
        "network": str(arguments.file),
        "sense": arguments.command,
        "method": arguments.method,
        "seed": arguments.seed,
        "stop": result.stop.value,
        "seconds": result.elapsed,
        "points": result.points,
        "steps": result.iterations,
        "nodes": result.nodes,
        "bound": or_none(problem.reported(result.bound)),
        **best,
        **({"solutions": solutions} if arguments.solutions > 1 else {}),
    }
