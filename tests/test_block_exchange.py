"""Blends that share stocks: blocks exchanged at the prices of the rows that link them."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network
from scipy import sparse

from pyomo_relugrad.problem import EmbeddedNetwork, Incumbent, Problem
from pyomo_relugrad.proof import prove_by_milp
from pyomo_relugrad.run import Budget, Past, SearchContext, Stop
from pyomo_relugrad.search import Auto, BlockExchange
from pyomo_relugrad.search.regions import program as region_program
from pyomo_relugrad.search.regions.layout import FullLayout
from pyomo_relugrad.search.regions.program import RegionProgram
from pyomo_relugrad.search.separable.block_exchange import _Exchanges
from pyomo_relugrad.search.separable.blocks import Block, Blocks, alike

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
def test_exchanges_find_the_optimum_of_blends_that_share_stocks(seed: int) -> None:
    problem = blending(seed, networks=1 + seed % 2)
    points = [p for p in BlockExchange(min_links=1.0).run(problem, context(problem)) if p is not None and p.is_feasible]
    proven = prove_by_milp(problem, start=min(points, key=lambda point: point.objective), time_limit=20.0)
    assert proven.stop is Stop.OPTIMAL
    assert min(point.objective for point in points) == pytest.approx(proven.incumbent.objective, rel=1e-6)


def test_a_block_of_a_poor_plan_is_replaced_by_a_point_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descents at prices, what other blocks have is still tried."""
    problem = blending()
    monkeypatch.setattr(_Exchanges, "_priced", lambda *_: iter(()))
    known = context(problem).known
    found = [p for p in BlockExchange(min_links=1.0).run(problem, context(problem)) if p is not None]
    assert min(p.objective for p in found) < known[0].objective - 1e-3


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


def test_prices_of_the_best_plan_are_left_to_bounds() -> None:
    problem, past = blending(), Past()
    list(BlockExchange(min_links=1.0, plans=1).run(problem, context(problem, limit=40, past=past)))
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
        assert list(BlockExchange(min_links=1.0).run(other, context(problem))) == []
    assert list(BlockExchange(min_links=2.0).run(problem, context(problem))) == []
    nothing = SearchContext(Budget(iteration_limit=100), np.random.default_rng(0))
    assert list(BlockExchange(min_links=1.0).run(problem, nothing)) == [None] * BLENDS  # one for each block
    assert list(BlockExchange(min_links=1.0).run(problem, context(problem, limit=0))) == [None]


def test_the_search_exchanges_blocks_beside_its_descents(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, begun = blending(), []
    monkeypatch.setattr(BlockExchange, "run", lambda method, *_: begun.append(method) or iter(()))
    given, others = BlockExchange(min_links=1.0), frozenset({"exact-choice", "column-generation"})
    list(Auto(blocks=given, without=others).run(problem, context(problem, limit=30)))
    list(Auto(blocks=given, without=others | {"block-exchange"}).run(problem, context(problem, limit=30)))
    assert begun == [given]


def test_better_points_of_others_are_taken_over() -> None:
    problem = blending()
    search = BlockExchange(min_links=1.0).run(problem, context(problem, limit=20))
    found = [p for p in search if p is not None and p.is_feasible]
    best, given = min(found, key=lambda point: point.objective), context(problem)
    blocks = Blocks.of(problem)
    parts = list(Block.all_of(problem, blocks))
    exchange = _Exchanges(BlockExchange(patience=1, tried=1), problem, parts, blocks.of_row < 0, given)
    given.offered.append(best)
    ends: list[Incumbent] = []

    def improve():
        ends.append((yield from exchange._improved(given.known[0])))

    list(improve())
    assert ends[0].objective <= best.objective
