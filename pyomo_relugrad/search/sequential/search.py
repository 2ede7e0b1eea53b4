"""Sequential linear programming in the variables of the surrounding model, from many starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import LinearStatus
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.descent import Descent
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.polish_ends import is_lower
from pyomo_relugrad.search.sequential.settings import SequentialSettings
from pyomo_relugrad.search.sequential.starts import Starts

#: Descents in vain after which a search is done at the earliest, however soon earlier ones had their best points: with
#: fewer, answers of models solved again were up to 40 % worse.
MIN_PATIENCE = 16


@dataclass(frozen=True)
class SequentialLp(SequentialSettings):
    """Trust-region LP or MILP steps in the surrounding variables.

    Each step solves the surrounding model with every network replaced by its affine function at the current point,
    within a trust region on the networks' inputs; rows on outputs may be violated at a penalty. A step counts by an
    exact merit on the true networks. Where a descent ends infeasible, feasibility alone is restored. What is (nearly)
    feasible goes to `walk_regions`, by exact linear programs over regions. Starts: the user's point, the relaxation's
    point, random points, and points near the best ones.

    The classical method for nonlinear programs (Fletcher, Practical Methods of Optimization, section 14.4), here with
    piecewise-linear constraints, for which the final linear program over a region is exact.

    Parameters
    ----------
    patience : int, optional
        The search ends when so many starts in a row have brought nothing better (100); fewer where earlier searches of
        the same model had found their best points after fewer.
    tournament : int, optional
        Random points that compete, by merit, to become one start (16).
    neighbours : int, optional
        The same where there are integers: random points, or neighbours of a good one in its integers (64).
    integer_descent_share : float, optional
        How often a start with integers first goes down along its neighbours in them (0.5).
    first_order_share, batch, batch_winners : float, int and int, optional
        How often starts come from a first-order descent of a batch (0.2), its points (64), how many become starts (6).
    held_share : float, optional
        Share of the descents that keep the integers of their start: many cheap LPs rather than a few MILPs (0.8).
    elite_size, max_steps : int, optional
        Good points kept to restart near them (8); steps of one descent at most (60).
    integer_step_time : float, optional
        Seconds that one mixed-integer step may take (0.3); a good step soon beats the best step later. Where steps
        alone are limited, its nodes are.
    smallest_radius : float, optional
        Trust region, relative to the columns' ranges, at which a descent ends (0.01).
    accepted_share : float, optional
        Share of the predicted gain that a step must bring (0.1).
    initial_penalty : float, optional
        Penalty of a violation, in units of the objective's spread over the largest violation at sampled points (10).
    """

    name = "sequential-lp"
    cooperates = True
    handles_smooth = True

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Descend from start after start."""
        yield from self.descents(problem, context, Elite(self.elite_size))

    def descents(self, problem: Problem, context: SearchContext, elite: Elite) -> Iterator[Incumbent | None]:
        """The same, also from near good points that others add."""
        budget = context.budget
        surroundings = LinearRelaxation(problem)
        if not problem.functions and context.relaxation is not None and context.relaxed is not None:
            yield problem.incumbent(context.relaxed)
            if context.relaxation.status is LinearStatus.UNBOUNDED:
                budget.stop_unbounded()
            if problem.quadratic is None or not problem.integers.any() or budget.is_exhausted():
                return
        starts = Starts(self, problem, surroundings, context, elite)
        descent = self.descent(problem, context, surroundings)
        fruitless, number = 0, 0
        patience = max(context.past.begin(self.name, self.patience), min(MIN_PATIENCE, self.patience))
        # Other solves say nothing of how long to go on where no point has been feasible.
        while fruitless < (patience if elite.points else self.patience) and not budget.is_exhausted():
            for offered in context.take_offered():
                elite.learn(offered)
            best_before = elite.best
            for point in descent.run(starts.next(descent.merit), elite.best):
                if point is not None:
                    elite.learn(point)
                yield point
            number, fruitless = number + 1, fruitless + 1
            if is_lower(elite.best, best_before):
                context.past.note(self.name, number)
                fruitless = 0
        if not elite.points:
            context.past.note(self.name, self.patience)

    def descent(self, problem: Problem, context: SearchContext, surroundings: LinearRelaxation) -> Descent:
        """A descent whose penalties suit the problem's values at random points."""
        samples = problem.propagate(surroundings.random_points(self.batch, context.random))
        return Descent(self, problem, context, Merit.scaled_to(problem, samples, self.initial_penalty))
