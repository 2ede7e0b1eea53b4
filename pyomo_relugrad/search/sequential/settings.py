"""The numbers of sequential linear programming, for its descents and their starts."""

from dataclasses import dataclass

from pyomo_relugrad.run import Method, between


@dataclass(frozen=True)
class SequentialSettings(Method):
    """The fields of `SequentialLp`, which says what they mean."""

    patience: int = 100
    tournament: int = 16
    neighbours: int = 64
    integer_descent_share: float = between(0.5, 0, 1)
    first_order_share: float = between(0.2, 0, 1)
    batch: int = 64
    batch_winners: int = 6
    held_share: float = between(0.8, 0, 1)
    elite_size: int = 8
    max_steps: int = 60
    integer_step_time: float = 0.3
    smallest_radius: float = 0.01
    accepted_share: float = between(0.1, 0, 1)
    initial_penalty: float = 10.0
