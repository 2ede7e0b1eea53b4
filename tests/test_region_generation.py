"""Blends that share stocks: linear regions of blocks, generated at the prices of the rows that link them."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.proof import prove_by_milp
from pyomo_relugrad.run import Budget, Past, SearchContext, Stop
from pyomo_relugrad.search import Auto, RegionGeneration
from pyomo_relugrad.search.regions import program as region_program
from pyomo_relugrad.search.regions.layout import FullLayout
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.separable import region_mixture
from pyomo_relugrad.search.separable.blocks import Block, Blocks, alike
from pyomo_relugrad.search.separable.region_generation import _Generation
from pyomo_relugrad.search.separable.region_mixture import RegionMixture

BLENDS, GRAPES, FEATURES = 3, 6, 2


def blending(seed: int = 0, networks: int = 1) -> Problem:
    """Blends of grapes with the best total of what networks make of their features; stocks link the blends.

    Columns of a blend: shares of the grapes, then features, then the network's output.
    """
    random = np.random.default_rng(seed)
    scores = [random_network((FEATURES, 6, 6, 1), seed + number) for number in range(networks)]
    grapes, width = random.uniform(-1, 1, (GRAPES, FEATURES)), GRAPES + FEATURES + 1
    own = np.zeros((FEATURES + 1, width))
    own[:FEATURES, :GRAPES], own[:FEATURES, GRAPES:-1], own[-1, :GRAPES] = grapes.T, -np.eye(FEATURES), 1.0
    stock = np.hstack([np.eye(GRAPES), np.zeros((GRAPES, FEATURES + 1))])
    stocks = random.uniform(0.4, 0.8, GRAPES) * BLENDS / 3
    sides = np.tile([0.0] * FEATURES + [1.0], BLENDS)
    embedded = (
        EmbeddedNetwork(scores[i % networks], width * i + GRAPES + np.arange(FEATURES), [width * (i + 1) - 1])
        for i in range(BLENDS)
    )
    return Problem(
        np.tile([0.0] * (width - 1) + [-1.0], BLENDS),
        np.tile([0.0] * GRAPES + [-1.0] * FEATURES + [-np.inf], BLENDS),
        np.tile([0.6] * GRAPES + [1.0] * FEATURES + [np.inf], BLENDS),
        sparse.csr_array(np.vstack([np.kron(np.eye(BLENDS), own), np.tile(stock, BLENDS)])),
        np.append(sides, np.full(GRAPES, -np.inf)),
        np.append(sides, stocks),
        networks=tuple(embedded),
    )


def context(problem: Problem, limit: int = 70, **others: object) -> SearchContext:
    """With a point that shares everything in the same way."""
    even = np.tile(np.append(problem.row_upper[-GRAPES:] / problem.row_upper[-GRAPES:].sum(), np.zeros(3)), BLENDS)
    features = problem.rows @ even
    for i in range(BLENDS):
        first = i * (GRAPES + FEATURES + 1) + GRAPES
        even[first : first + FEATURES] = features[i * (FEATURES + 1) :][:FEATURES]
    start = problem.incumbent(even)
    assert start.is_feasible
    others = {"known": (start,)} | others
    return SearchContext(Budget(iteration_limit=limit), np.random.default_rng(0), **others)


@pytest.mark.parametrize("seed", [0, 3])
def test_the_optimum_of_blends_that_share_stocks_is_found(seed: int) -> None:
    problem = blending(seed, networks=1 + seed % 2)
    points = [
        p for p in RegionGeneration(min_links=1.0).run(problem, context(problem)) if p is not None and p.is_feasible
    ]
    proven = prove_by_milp(problem, start=min(points, key=lambda point: point.objective), time_limit=20.0)
    assert proven.stop is Stop.OPTIMAL
    assert min(point.objective for point in points) == pytest.approx(proven.incumbent.objective, rel=1e-6)


def parts_of(problem: Problem) -> tuple[list[list[Block]], Blocks]:
    blocks = Blocks.of(problem)
    parts = list(Block.all_of(problem, blocks))
    return [[parts[i] for i in each] for each in alike(parts, problem.rows[blocks.of_row < 0])], blocks


def mixture_of(problem: Problem, points: list[np.ndarray]) -> tuple[RegionMixture, np.ndarray]:
    """The program over the regions of some points (n,), and how many blocks of the first are in each."""
    kinds, blocks = parts_of(problem)
    program = RegionMixture(problem, kinds, blocks.of_row < 0, blocks.of_column < 0)
    for v in points:
        for number, parts in enumerate(kinds):
            for part in parts:
                program.add(number, v[part.columns])
    own = enumerate(kinds)
    return program, sum(program.counts(number, [points[0][p.columns] for p in parts]) for number, parts in own)


def cost_of(problem: Problem, program: RegionMixture) -> float:
    kinds, found = parts_of(problem)[0], program.solve(1.0)
    costs = [kinds[kind][0].problem.cost for kind in program.kinds]
    return float(sum(n * (v @ c) for n, v, c in zip(found.counts, found.places, costs, strict=True)))


def corners(problem: Problem, count: int = 4) -> list[np.ndarray]:
    """Points at which blends take what another order of the grapes leaves."""
    random, points = np.random.default_rng(1), []
    rows = LinearRelaxation(problem).program(integral=False)
    decides = np.arange(problem.n_columns) % (GRAPES + FEATURES + 1) < GRAPES
    for _ in range(count):
        rows.change_costs(decides * random.normal(size=problem.n_columns))
        points.append(problem.propagate(rows.solve(1.0).values[None])[0])
    return points


@pytest.mark.parametrize("networks", [1, 2])
def test_whole_numbers_of_blocks_in_regions_are_the_program_over_the_joint_region(networks: int) -> None:
    problem = blending(0, networks)
    points = corners(problem)
    program, counts = mixture_of(problem, points)
    assert counts.sum() == BLENDS < program.size
    relaxed = cost_of(problem, program)
    program.hold(counts)
    regions = RegionProgram(problem)
    optimum = regions.solve(regions.region_at(points[0][regions.columns]), Budget(iteration_limit=100))
    held = cost_of(problem, program)
    assert held == pytest.approx(regions.incumbent(optimum.u).objective, rel=1e-6)
    assert relaxed < held - 1e-3
    assert program.solve(1.0).counts == pytest.approx(counts, abs=1e-6)


def test_prices_of_a_mixture_say_what_a_stock_is_worth() -> None:
    problem = blending()
    points = corners(problem)
    prices = mixture_of(problem, points)[0].solve(1.0).prices
    priced = np.flatnonzero(prices < -1e-3)
    assert priced.size
    assert priced.min() >= problem.n_rows - GRAPES
    for row in priced:
        more = np.where(np.arange(problem.n_rows) == row, 1e-5, 0.0)
        changed = replace(problem, row_upper=problem.row_upper + more)
        gain = cost_of(changed, mixture_of(changed, points)[0]) - cost_of(problem, mixture_of(problem, points)[0])
        assert gain == pytest.approx(1e-5 * prices[row], rel=1e-2)


def test_regions_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = blending(2, networks=2)
    points, kinds = corners(problem, 12), parts_of(problem)[0]
    program, counts = mixture_of(problem, points)
    program.hold(counts)
    held, size = cost_of(problem, program), program.size
    monkeypatch.setattr(region_mixture, "MAX_REGIONS", size)
    assert size >= 2 * np.count_nonzero(counts)
    points = corners(problem, 100)
    new = [(k, v[p.columns]) for v in points for k in (0, 1) for p in kinds[k]]
    program.add(*next((k, v) for k, v in new if not program.counts(k, [v]).any()))
    assert program.size == size // 2 + 1
    own = [program.counts(k, [points[0][p.columns] for p in kinds[k]]).sum() for k in (0, 1)]
    assert own == [2, 1]
    assert cost_of(problem, program) <= held + 1e-6


@pytest.mark.parametrize("layout", ["reduced", "full"])
def test_multipliers_say_what_a_row_is_worth(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = blending(1)
    if layout == "full":
        monkeypatch.setattr(region_program, "layout_of", lambda objective: FullLayout(objective.problem))
    problem = replace(
        problem,
        rows=sparse.csr_array(np.vstack([np.eye(1, problem.n_columns, GRAPES + FEATURES), problem.rows.toarray()])),
        row_lower=np.append(-9.0, problem.row_lower),
        row_upper=np.append(9.0, problem.row_upper),
    )
    given = context(blending(1))

    def solved(changed: Problem):
        program = RegionProgram(changed)
        optimum = program.solve(program.region_at(given.known[0].values[program.columns]), given.budget)
        return float(changed.objective(program.objective.points(optimum.u[None]))[0]), program.row_multipliers(optimum)

    value, multipliers = solved(problem)
    assert multipliers.shape == (problem.n_rows,)
    priced = np.flatnonzero(multipliers[-GRAPES:] < -1e-3) + problem.n_rows - GRAPES
    assert priced.size
    for row in priced:
        more = np.where(np.arange(problem.n_rows) == row, 1e-6, 0.0)
        changed = solved(replace(problem, row_upper=problem.row_upper + more))[0]
        assert changed - value == pytest.approx(1e-6 * multipliers[row], rel=1e-2, abs=1e-9)


def test_prices_are_left_to_bounds() -> None:
    problem, past = blending(), Past()
    list(RegionGeneration(min_links=1.0).run(problem, context(problem, limit=40, past=past)))
    links = Blocks.of(problem).of_row < 0
    assert past.multipliers.shape == (problem.n_rows,)
    assert (past.multipliers[links] <= 0).all()
    assert (past.multipliers[links] < -1e-3).any()
    assert not past.multipliers[~links].any()


def test_blocks_with_other_networks_are_of_another_kind() -> None:
    for networks, expected in ((1, [[0, 1, 2]]), (2, [[0, 2], [1]])):
        problem = blending(0, networks)
        blocks = Blocks.of(problem)
        parts = list(Block.all_of(problem, blocks))
        assert alike(parts, problem.rows[blocks.of_row < 0]) == expected


def test_problems_that_do_not_suit_are_left_alone() -> None:
    problem = blending()
    width = GRAPES + FEATURES + 1
    unsuited = (
        replace(problem, quadratic=sparse.eye_array(problem.n_columns, format="csr")),
        replace(problem, integers=np.arange(problem.n_columns) % width == 0),
        replace(problem, networks=problem.networks[:1]),
    )
    for other in unsuited:
        assert list(RegionGeneration(min_links=1.0).run(other, context(problem))) == []
    assert list(RegionGeneration(min_links=2.0).run(problem, context(problem))) == []
    nothing = SearchContext(Budget(iteration_limit=100), np.random.default_rng(0))
    assert list(RegionGeneration(min_links=1.0).run(problem, nothing)) == [None] * BLENDS  # one for each block
    assert list(RegionGeneration(min_links=1.0).run(problem, context(problem, limit=0))) == [None]


def test_the_search_generates_regions_beside_its_descents(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, begun = blending(), []
    monkeypatch.setattr(RegionGeneration, "run", lambda method, *_: begun.append(method) or iter(()))
    given, others = RegionGeneration(min_links=1.0), frozenset({"exact-choice", "column-generation"})
    list(Auto(blocks=given, without=others).run(problem, context(problem, limit=30)))
    list(Auto(blocks=given, without=others | {"region-generation"}).run(problem, context(problem, limit=30)))
    assert begun == [given]


def test_better_points_of_others_are_taken_over() -> None:
    problem = blending()
    search = RegionGeneration(min_links=1.0).run(problem, context(problem, limit=40))
    best = min((p for p in search if p is not None and p.is_feasible), key=lambda point: point.objective)
    given, blocks = context(problem), Blocks.of(problem)
    generation = _Generation(RegionGeneration(), problem, list(Block.all_of(problem, blocks)), blocks, given)
    generation._learn(given.known[0])
    given.offered.append(best)
    generation._take_offered()
    assert generation._best is best
