"""Batches of branch and bound that other processes bound: what is given away, what comes back, and what is lost."""

import pickle
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from executors import Inline
from random_models import random_problem
from test_branch import single_network_box

from pyomo_relugrad.problem.presolve import FOR_RELAXATIONS, reduce_by
from pyomo_relugrad.proof import SearchTree
from pyomo_relugrad.proof.boxes import batches_elsewhere, crown_bounder, program_bounder, tree
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes
from pyomo_relugrad.proof.boxes.frontier import Frontier, explore
from pyomo_relugrad.proof.chain_tree import ChainTree
from pyomo_relugrad.run import Clock, Options, Route, Stop
from pyomo_relugrad.solve import Portfolio, search, solve_exactly
from pyomo_relugrad.solve.runner import Runner
from pyomo_relugrad.solve.team import Team

BOX = single_network_box(1, (4, 16, 16, 2))
TIGHT = Options(relative_gap=0.0, absolute_gap=1e-2, threads=2)


class Elsewhere(Inline):
    """A process that is there; what goes to it and comes back travels."""

    are_at_hand = True

    def submit(self, function, /, *arguments):
        return super().submit(lambda batch: pickle.loads(pickle.dumps(function(batch))), *map(_travelled, arguments))

    @property
    def batches(self):
        return [batch for batch in self.tasks if batch.nodes is not None]


class Silent(Elsewhere):
    """A process that gets ready, and never answers after that."""

    def submit(self, function, /, *arguments):
        if arguments[0].nodes is None:
            return super().submit(function, *arguments)
        self.tasks.append(arguments[0])
        return Future()


class GivingUp(Elsewhere):
    """A process that finds nodes too small to split."""

    given_up = -1e3

    def submit(self, function, /, *arguments):
        def answer(batch):
            process, explored = function(batch)
            return process, None if explored is None else replace(explored, given_up=self.given_up)

        return super().submit(answer, *arguments)


def _travelled(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.fixture
def beside(monkeypatch):
    """Installs an executor in place of processes; batches of few nodes are divided."""

    def install(executor):
        monkeypatch.setattr(batches_elsewhere, "worker_processes", lambda count: executor)
        return executor

    for name in ("DIVIDED_SECONDS", "PART_SECONDS", "LONG_WAIT"):
        monkeypatch.setattr(tree, name, 0.0)
    for module in (crown_bounder, program_bounder):
        monkeypatch.setattr(module, "MAX_BATCH", 8)
    return install


def proven(problem, **options):
    options = replace(TIGHT, **options)
    search_tree = SearchTree(problem, options)
    for _ in search_tree.steps():
        assert search_tree.bound <= search_tree.incumbent_value
    return search_tree


@pytest.mark.parametrize("problem", [BOX, random_problem("equality", 1), random_problem("integer", 3)])
def test_an_optimum_is_proven_with_the_help_of_others(beside, problem):
    alone = proven(problem, threads=1)
    helper = beside(Elsewhere())
    together = proven(problem)
    assert helper.batches
    assert together.conclusion() is alone.conclusion() is Stop.OPTIMAL
    assert together.incumbent_value == pytest.approx(alone.incumbent_value, abs=2e-2)
    assert together.bound == pytest.approx(alone.bound, abs=2e-2)


def test_lost_batches_are_bounded_here_and_after_some_of_them_none_is_given_away(beside):
    alone = proven(BOX, threads=1)
    helper = beside(Elsewhere(lost=range(1, 10**6)))
    together = proven(BOX)
    assert together.conclusion() is Stop.OPTIMAL
    assert together.incumbent_value == pytest.approx(alone.incumbent_value, abs=2e-2)
    assert len(helper.tasks) <= 2 * batches_elsewhere.MAX_LOST + batches_elsewhere.DEPTH


def test_a_problem_that_cannot_travel_is_proven_alone(beside, monkeypatch):
    def full(thing):
        raise OSError("no space is left")

    helper = beside(Elsewhere())
    monkeypatch.setattr(batches_elsewhere, "packed", full)
    assert proven(BOX).conclusion() is Stop.OPTIMAL
    assert not helper.tasks


def test_the_bound_counts_nodes_that_are_under_way_and_never_come_back(beside):
    helper, optimum = beside(Silent()), proven(BOX, threads=1).incumbent_value
    search_tree = SearchTree(BOX, TIGHT)
    steps = search_tree.steps()
    for _ in range(60):
        next(steps)
    assert len(helper.batches) == batches_elsewhere.DEPTH
    assert search_tree.bound == min(float(batch.nodes.bound.min()) for batch in helper.batches)
    assert search_tree.bound < optimum - 5e-3
    steps.close()
    assert search_tree.bound < optimum - 5e-3


def test_overdue_batches_are_bounded_here(beside, monkeypatch):
    optimum = proven(BOX, threads=1).incumbent_value
    for name in ("LONGEST", "MIN_LONGEST"):
        monkeypatch.setattr(batches_elsewhere, name, 0.0)
    helper = beside(Silent())
    together = proven(BOX)
    assert together.conclusion() is Stop.OPTIMAL
    assert together.incumbent_value == pytest.approx(optimum, abs=2e-2)
    assert len(helper.batches) >= batches_elsewhere.MAX_LOST


def test_processes_are_started_for_long_proofs_only_and_not_where_there_is_no_core(beside, monkeypatch):
    helper = beside(Elsewhere())
    proven(BOX, threads=1)
    proven(BOX, executor=Inline())
    helper.are_at_hand = False
    proven(BOX)
    assert not helper.tasks
    monkeypatch.setattr(batches_elsewhere, "START_SECONDS", 0.0)
    proven(random_problem("window", 3))  # never as many nodes as a batch has
    assert not helper.tasks
    proven(BOX)
    assert helper.batches


@pytest.mark.parametrize("problem", [BOX, random_problem("window", 3)])
def test_exploring_loses_no_point(problem):
    tree_alone = proven(problem, threads=1)
    flat = reduce_by(problem, FOR_RELAXATIONS).problem
    bounder, optimum, counts = batches_elsewhere.bounder_for(flat), tree_alone.incumbent_value, []
    root = bounder.root()
    for seconds, cutoff in ((0.0, np.inf), (0.05, np.inf), (30.0, tree_alone.cutoff)):
        explored = explore(bounder, root, cutoff, seconds)
        bound = min(explored.nodes.bound.min(initial=np.inf), explored.given_up)
        assert bound <= optimum + 1e-9
        assert len(explored.candidates)
        counts.append(explored.count)
    assert counts[0] == 1 < counts[1]
    assert explored.seconds > 0.0
    assert (len(explored.nodes), bound) == (0, pytest.approx(optimum, abs=2e-2))


def test_others_have_good_and_bad_nodes():
    frontier, root = Frontier(BOX.integers), batches_elsewhere.bounder_for(BOX).root()
    for bound in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0):
        frontier.add(replace(root, bound=np.array([bound])))
    shares = frontier.deal(2, 2, 8.0)
    assert [share.bound.tolist() for share in shares] == [[1.0, 4.0], [2.0, 5.0]]
    assert frontier.take(9, 8.0).bound.tolist() == [0.0, 3.0]
    assert frontier.given_up == 8.0
    late = Frontier(BOX.integers)  # a better point has come meanwhile
    zeros = np.zeros((1, BOX.n_columns))
    late.split(BoundedNodes(replace(root, bound=np.array([3.0])), zeros, zeros + 1.0, zeros), 2.0)
    assert (len(late), late.given_up) == (0, 3.0)


def test_what_is_given_up_elsewhere_keeps_the_bound_down(beside):
    beside(GivingUp())
    assert proven(BOX).bound == GivingUp.given_up


def test_a_process_that_is_there_begins_while_a_search_goes_on(beside):
    helper, alone = beside(Elsewhere()), proven(BOX, threads=1)
    ahead = SearchTree(BOX, TIGHT)
    ahead.get_ahead()
    (batch,) = helper.batches
    assert (len(batch.nodes), batch.cutoff) == (1, np.inf)
    for _ in ahead.steps():
        assert ahead.bound <= alone.incumbent_value + 1e-9
    assert sum(batch.nodes.bound[0] == -np.inf for batch in helper.batches) == 1
    assert ahead.conclusion() is Stop.OPTIMAL
    assert ahead.incumbent_value == pytest.approx(alone.incumbent_value, abs=2e-2)


def test_a_process_that_gets_ahead_knows_the_incumbent(beside):
    helper, point = beside(Elsewhere()), search(BOX, iteration_limit=20).incumbent
    ahead = SearchTree(BOX, TIGHT, point)
    ahead.get_ahead()
    assert [batch.cutoff for batch in helper.batches] == [ahead.cutoff] == [point.objective - 1e-2]
    assert ahead.has_news
    next(ahead.steps())
    assert not ahead.has_news


def test_a_search_ends_where_a_process_that_got_ahead_waits():
    team = Team(BOX, TIGHT, Portfolio(), Clock(60.0))
    team._ahead = SimpleNamespace(has_news=False)
    steps = team._search_for(60.0)
    next(steps)
    team._ahead.has_news = True
    assert next(steps, None) is None


def test_others_go_on_while_a_search_is_under_way(beside, monkeypatch):
    monkeypatch.setattr(tree, "TURN_SECONDS", 0.0)
    helper, alone = beside(Elsewhere()), proven(BOX, threads=1)
    together = SearchTree(BOX, TIGHT)
    together.keep_others_busy()
    assert not helper.tasks
    steps = together.steps()
    for _ in range(3):
        next(steps)
    before = len(helper.batches)
    team = Team(BOX, TIGHT, Portfolio(), Clock(60.0))
    team._runners = [Runner(Route.BRANCH, BOX, TIGHT, Portfolio(), prover=together)]
    for _ in zip(range(4), team._search_for(60.0), strict=False):
        assert together.bound <= alone.incumbent_value + 1e-9
    assert len(helper.batches) - before >= 3
    together.spare_cores = 0
    together.keep_others_busy()
    before = len(helper.batches)
    together.keep_others_busy()
    assert len(helper.batches) == before


def test_few_nodes_are_split_several_times_at_once():
    bounder, inputs = batches_elsewhere.bounder_for(BOX), ~BOX.is_output
    frontier, root = Frontier(BOX.integers), bounder(bounder.root(), np.inf)
    frontier.split(root, np.inf, 8)
    children = frontier.take(99, np.inf)
    sizes = (children.upper - children.lower)[:, inputs].prod(axis=1)
    assert len(children) == 8
    assert sizes.sum() == pytest.approx((BOX.upper - BOX.lower)[inputs].prod())
    assert (children.bound == root.nodes.bound[0]).all()
    frontier.add(children)
    frontier.split(root, np.inf, 8)  # more wait by now
    assert len(frontier) == 10


def test_a_root_that_no_process_begins_with_is_bounded_here(beside):
    helper = beside(Silent())
    ahead = SearchTree(BOX, TIGHT)
    ahead.get_ahead()
    assert len(helper.batches) == 1
    next(ahead.steps())
    assert ahead.nodes == 1


def test_nobody_gets_ahead_where_no_process_is_there_or_the_problem_is_no_box(beside):
    helper = beside(Elsewhere())
    SearchTree(random_problem("window", 3), TIGHT).get_ahead()
    SearchTree(BOX, replace(TIGHT, threads=1)).get_ahead()
    helper.are_at_hand = False
    SearchTree(BOX, TIGHT).get_ahead()
    assert not helper.tasks


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exact_solve_lets_a_process_get_ahead(beside, monkeypatch, threads):
    helper, sent = beside(Elsewhere()), []
    monkeypatch.setattr(Team, "short_search", 0.0)
    old = Team._open
    monkeypatch.setattr(Team, "_open", lambda team, route: (sent.append(len(helper.batches)), old(team, route)))
    result = solve_exactly(BOX, replace(TIGHT, time_limit=20.0, threads=threads))
    assert result.stop is Stop.OPTIMAL
    assert result.incumbent.objective == pytest.approx(proven(BOX, threads=1).incumbent_value, abs=2e-2)
    assert sent[0] == threads - 1


def test_short_batches_are_not_divided(beside, monkeypatch):
    helper = beside(Elsewhere())
    monkeypatch.setattr(tree, "DIVIDED_SECONDS", 1e6)
    proven(BOX)
    assert not helper.tasks


def test_cores_are_spared_for_others_who_need_them(beside):
    helper = beside(Elsewhere())
    runner = Runner(Route.BRANCH, BOX, TIGHT, Portfolio())
    runner.spare(0)
    for _ in range(8):
        runner.step()
    assert (len(helper.tasks), runner.cores_beside) == (0, 0)
    runner.spare(1)
    for _ in range(8):
        runner.step()
    assert (len(helper.batches) > 0, runner.cores_beside) == (True, 1)


@pytest.mark.parametrize(
    ("has_highs", "worked", "closes", "spared", "beside"),
    [
        (False, 1.0, False, 1, 1),  # too young to be judged
        (False, 3.0, False, 0, 0),  # searches have the core
        (False, 3.0, True, 1, 1),
        (True, 1.0, True, 0, 1),  # HiGHS has it
    ],
)
def test_who_has_the_second_core(has_highs, worked, closes, spared, beside):
    def runner(works_beside, cores_beside):
        own = SimpleNamespace(works_beside=works_beside, cores_beside=cores_beside, worked=worked, is_done=False)
        own.closes_within, own.is_far = lambda *of: closes, lambda *of: False
        own.pause, own.spare = lambda paused: None, lambda cores: works_beside or setattr(own, "cores_beside", cores)
        return own

    team = Team(BOX, TIGHT, Portfolio(), Clock(60.0))
    branch = runner(False, 0)
    team._runners = [branch, *([runner(True, 1)] if has_highs else [])]
    team._leave_cores_to_searches()
    assert (branch.cores_beside, team.cores_beside) == (spared, beside)


def test_both_ways_of_a_chain_have_help(beside):
    helper = beside(Elsewhere())
    chain = random_problem("chained", 1)
    proof = ChainTree(chain, TIGHT)
    for _ in range(20):
        proof.step()
    assert proof.cores_beside == 1
    assert len({batch.parcel.name for batch in helper.batches}) == 2
    assert proof.bound <= search(chain, iteration_limit=50).incumbent.objective
