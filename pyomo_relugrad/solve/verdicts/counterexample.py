"""The search for a counterexample of a property: an input that satisfies one of its cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import named_arguments
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.building import Affine, HiddenLayers, affine_of, largest
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.readers.vnnlib import Case, Property
from pyomo_relugrad.run import Clock, Driver, Method, Options, Report, Stop, Worker
from pyomo_relugrad.solve.local_search import LocalSearch
from pyomo_relugrad.solve.verdicts.query import Counterexample, Query, query_of
from pyomo_relugrad.solve.verdicts.question import Question, excess

_SAMPLED_NUMBERS = 2**16
_FIRST_SLICE = 0.1
_SHORTEST_SLICE = 0.02


@named_arguments
@solver_threads()
def find_counterexample(
    network: Any,
    property_: Property | str | PathLike[str],
    *,
    time_limit: float = 10.0,
    seed: int = 0,
    method: str | Method = "auto",
) -> Counterexample | None:
    """Look for a counterexample.

    Each case is a search of its own: its largest violation, a piecewise-linear function of the inputs like the network
    itself, is minimized over the case's box until it is no longer positive. The cases take turns, those that are nearly
    satisfied at random points first, in rounds that start from new random points and take twice as long as the last.

    Parameters
    ----------
    network : Network, or what `load_network` takes
        Of a property of several networks a dict of them by the names that the property gives them.
    property_ : Property or path
        Of a file that `load_vnnlib` reads.
    time_limit : float, optional
        Seconds.
    seed : int, optional
        Of the random points.
    method : str or Method, optional
        A name in `pyomo_relugrad.search.METHODS`, or a value such as ``Ppga(batch=64)``.

    Returns
    -------
    Counterexample or None
        None says that none was found, not that there is none.

    Raises
    ------
    ModelError
        If the property is not one of such networks, or an input has no finite bounds.

    Examples
    --------
    >>> from pyomo_relugrad.readers.vnnlib import parse_vnnlib
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])  # |x|
    >>> text = "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (>= X_0 -1)) (assert (<= X_0 2))"
    >>> found = find_counterexample(network, parse_vnnlib(text + "(assert (>= Y_0 1.5))"))
    >>> found.case.violation(found.x, found.y) <= 0.0
    True
    >>> find_counterexample(network, parse_vnnlib(text + "(assert (<= Y_0 -0.5))"), time_limit=0.1) is None
    True
    """
    options = Options(time_limit, None, seed, method, threads=1)
    query = query_of(network, property_)
    return search_cases(query, query.questions, options) if query.questions else None


def search_cases(query: Query, questions: Sequence[Question], options: Options) -> Counterexample | None:
    """Look for a counterexample among some cases.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C was meant for whoever asks.
    """
    clock, box = Clock(options.time_limit), questions[0].case
    searches = CaseSearches(query, questions, options, clock)
    result = Driver(Problem(np.zeros(box.lower.size), box.lower, box.upper), options, clock).run(searches)
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return searches.found


class CaseSearches(Worker):
    """Searches of the cases of a property, which take turns until there is a counterexample.

    Parameters
    ----------
    query : Query
    questions : sequence of Question
        The cases.
    options : Options
        Seed and method of the searches.
    clock : Clock
        Of the whole run.
    """

    def __init__(self, query: Query, questions: Sequence[Question], options: Options, clock: Clock) -> None:
        self._query, self._open, self._options, self._clock = query, list(questions), options, clock
        self.found: Counterexample | None = None
        self._turns = self._rounds()

    def step(self) -> Report:
        """Go on by one step of the case whose turn it is."""
        report = next(self._turns, Report(stop=Stop.FINISHED))
        return report if self.found is None else replace(report, stop=Stop.TARGET)

    def _rounds(self) -> Iterator[Report]:
        """Each case is sampled, then searched from its best point, round by round, until none can be satisfied."""
        round_ = 0
        while self._open:
            rng = np.random.default_rng([self._options.seed, round_])
            share = self._clock.remaining / 2 / len(self._open)
            seconds = max(min(_FIRST_SLICE * 2.0**round_, share), _SHORTEST_SLICE)
            options = replace(self._options, time_limit=seconds, seed=self._options.seed + round_)
            samples: list[tuple[float, Array, Question]] = []
            for question in self._open:
                samples.append(self._sample(question, seconds, rng))
                yield Report()
            for _, start, question in sorted(samples, key=lambda sample: sample[0]):
                yield from self._search(question, start, options)
            round_ += 1

    def _sample(self, question: Question, seconds: float, rng: np.random.Generator) -> tuple[float, Array, Question]:
        """The best point of a case among random ones."""
        violation, point = best_sample(question.network, question.case, seconds, rng)
        if violation <= 0.0:
            self.found = self.found or self._query.counterexample(question, point)
        return violation, point, question

    def _search(self, question: Question, start: Array, options: Options) -> Iterator[Report]:
        """One search of a case; the case is left out of later rounds where a bound excludes it."""
        reduced, clock = presolve(violation_problem(question.network, question.case)), Clock(options.time_limit)
        search = LocalSearch(reduced.problem, options, clock, reduced.reduce(np.append(start, np.nan)))
        while not search.is_done and not clock.is_over:
            report = search.step()
            for point in report.points:
                if point.objective <= 0.0 and self.found is None:
                    free = reduced.restore(point.values)[: start.size]
                    self.found = self._query.counterexample(question, free)
            yield replace(report, points=(), bound=-np.inf, stop=None)
            if report.bound > 0.0:
                self._open.remove(question)
                return


def best_sample(network: Network, case: Case, seconds: float, rng: np.random.Generator) -> tuple[float, Array]:
    """The smallest violation of a case at random points of its box, drawn for so long, and the point."""
    clock = Clock(seconds)
    smallest, best = np.inf, case.lower
    batch = max(_SAMPLED_NUMBERS // network.n_inputs, 1)
    while smallest == np.inf or (smallest > 0.0 and not clock.is_over):
        points = case.lower + (case.upper - case.lower) * rng.random((batch, network.n_inputs))
        points = np.clip(points, case.lower, case.upper)
        violations = excess(network, case, points).max(axis=1, initial=-np.inf)
        index = int(np.argmin(violations))
        if violations[index] < smallest:
            smallest, best = float(violations[index]), points[index]
    return smallest, best


def violation_problem(network: Network, case: Case) -> Problem:
    """The least violation of a case's rows over its box; the last column is the violation, the others the inputs."""
    violation = violation_network(network, case)
    n = network.n_inputs
    return Problem(
        cost=np.append(np.zeros(n), 1.0),
        lower=np.append(case.lower, -np.inf),
        upper=np.append(case.upper, np.inf),
        networks=(EmbeddedNetwork(violation, np.arange(n), np.array([n]), "violation"),),
    )


def violation_network(network: Network, case: Case) -> Network:
    """The network whose only output is the largest violation of a case's rows, positive where one does not hold."""
    hidden = HiddenLayers(network.layers[:-1])
    inputs = Affine.variable(0, (network.n_inputs,))
    size = case.limits.shape
    rows = inputs.mapped(sparse.csr_array(case.input_rows), size).plus(
        affine_of(network.layers[-1]).mapped(case.output_rows, size)
    )
    violations = rows.shifted(-case.limits)
    worst = largest(violations, np.arange(case.limits.size)[None, :], hidden)
    return Network(network.n_inputs, hidden.with_output(worst, network.dtype), name=network.name)
