"""Searches that other searches of the same model came before: they end as soon as these had found their best points."""

from itertools import takewhile

import numpy as np
import pytest
from random_networks import random_network

from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.programs.linear_program import LinearProgram
from pyomo_relugrad.run import Budget, Options, Past, SearchContext
from pyomo_relugrad.search.descent.projected import ProjectedDescent, ProjectedRounds
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.search.sequential.smooth_polish import polisher_of
from pyomo_relugrad.solve import search, solve_locally


def box(seed: int = 0, width: float = 1.0) -> Problem:
    """A network over a box."""
    network, side = random_network([4, 16, 1], seed), np.full(4, width)
    embedded = EmbeddedNetwork(network, np.arange(4), [4])
    return Problem(np.eye(5)[4], np.append(-side, -np.inf), np.append(side, np.inf), networks=(embedded,))


def test_patience_is_the_mean_of_the_rounds_that_the_best_points_took():
    past = Past()
    assert past.begin("one", 40) == 40
    past.note("one", 2)
    past.note("one", 6)
    assert past.begin("one", 40) == 6
    assert past.begin("one", 40) == 3
    assert past.begin("one", 1) == 1
    assert past.begin("another", 40) == 40


def test_a_search_that_others_came_before_is_short_and_keeps_its_start():
    past, options = Past(), Options()
    first = solve_locally(box(), options, past=past)
    again = solve_locally(box(), options, past=past, start=first.incumbent.values)
    assert again.iterations < 0.2 * first.iterations
    assert again.incumbent.objective <= first.incumbent.objective
    assert past.solves == 2
    assert again.bound == -np.inf < first.bound


@pytest.mark.parametrize("width", [0.5, 0.8, 1.3])
def test_a_short_search_finds_what_a_long_one_does(width):
    past = Past()
    solve_locally(box(), Options(), past=past)
    short = solve_locally(box(width=width), Options(), past=past)
    long = search(box(width=width))
    assert short.incumbent.objective == pytest.approx(long.incumbent.objective, abs=1e-6)


def test_later_searches_build_no_highs_model(monkeypatch):
    past = Past()
    solve_locally(box(), Options(), past=past)
    monkeypatch.setattr(LinearProgram, "__init__", lambda *_, **__: pytest.fail("a HiGHS model is built"))
    for width in (0.5, 0.8, 1.3):
        assert solve_locally(box(width=width), Options(), past=past).incumbent.is_feasible


def test_a_highs_model_whose_run_was_interrupted_is_not_used_again():
    problem, past = box(), Past()
    polisher_of(problem, past)
    first = past.region_program
    polisher_of(problem, past)
    assert past.region_program is first
    first._simplex._program._refused.add(("interrupted", b""))
    polisher_of(problem, past)
    assert past.region_program is not first
    assert past.region_program._simplex._program is not first._simplex._program


def test_answers_are_remembered_by_where_they_lie_in_the_box():
    """And a search with nothing else than them finds the optimum in the same corner."""
    past = Past()
    found = [solve_locally(box(width=width), Options(), past=past).incumbent for width in (0.5, 1.0)]
    assert [answer * 2 * width - width for answer, width in zip(past.answers, (0.5, 1.0), strict=True)] == [
        pytest.approx(each.values[:4]) for each in found
    ]
    past.answers.extend([past.answers[-1]] * 31)
    method = ProjectedDescent(patience=1, repeated_round_steps=1)
    again = solve_locally(box(), Options(method=method), past=past)
    assert again.incumbent.objective == pytest.approx(found[1].objective, abs=1e-9)


def test_answers_of_a_model_that_has_other_columns_now_are_left_alone():
    past = Past(starts=np.zeros((8, 9)))
    past.answers.extend([np.zeros(9)] * 32)
    assert solve_locally(box(), Options(), past=past).incumbent.is_feasible
    assert past.starts.shape[1] == 4


def test_a_best_point_from_which_no_walk_leads_on_is_the_answer():
    past = Past()
    best = solve_locally(box(), Options(), past=past).incumbent.objective
    past.answers.extend([past.answers[-1]] * 31)
    known = (box().incumbent(np.zeros(5)),)
    context = SearchContext(Budget(), np.random.default_rng(0), known=known, past=past)
    rounds = ProjectedRounds(ProjectedDescent(), box(), domain_of(box()), context)
    found = [point for point in takewhile(lambda _: rounds.rounds == 0, rounds.run()) if point is not None]
    assert [point.objective for point in found] == pytest.approx([best], abs=1e-9)


def test_a_method_for_another_structure_is_not_asked_again():
    """A network over a box is no convex program and has no stages; a convex one stays one."""
    past = Past()
    solve_locally(box(), Options(iteration_limit=5), past=past)
    assert {"convex-program", "dynamic-programming"} <= past.barren
    past = Past()
    network, side = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0, 0], [0]]), np.array([1.0, np.inf])
    convex = Problem(np.eye(2)[1], -side, side, networks=(EmbeddedNetwork(network, [0], [1]),))
    found = [solve_locally(convex, Options(), past=past).incumbent.objective for _ in range(2)]
    assert found == pytest.approx([0, 0], abs=1e-9)
    assert "convex-program" not in past.barren


def test_rounds_that_agree_end_a_search():
    sooner, later = (search(box(), ProjectedDescent(agreements=number)) for number in (1, 4))
    assert sooner.iterations < later.iterations < 2000
    assert sooner.incumbent.objective == pytest.approx(later.incumbent.objective, abs=1e-9)


def test_a_start_that_is_infeasible_now_is_no_harm():
    """Its bounds were moved away from it."""
    past = Past()
    first = solve_locally(box(), Options(), past=past)
    moved = box()
    moved.lower[:4] = 0.9
    again = solve_locally(moved, Options(), past=past, start=first.incumbent.values)
    assert again.incumbent.is_feasible
    assert (again.incumbent.values[:4] >= 0.9).all()
