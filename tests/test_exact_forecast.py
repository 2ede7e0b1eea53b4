"""Whether a proof will close the gap in time."""

import numpy as np
import pytest

from pyomo_relugrad.solve import Portfolio
from pyomo_relugrad.solve.forecast import GapForecast

OBJECTIVE, ALLOWED = 5.0, 1e-3
CLOSING, YOUNG_SECONDS = Portfolio().closing_share, Portfolio().young_seconds


def forecast(*gaps: float, seconds: float = 1.0) -> GapForecast:
    """A proof after turns of so many seconds, with these gaps to the objective after them."""
    found = GapForecast(Portfolio())
    for gap in gaps:
        found.book(seconds, OBJECTIVE - gap)
    return found


def test_a_young_proof_is_not_judged():
    assert forecast(1.0, seconds=0.9 * YOUNG_SECONDS).closes_within(0.0, OBJECTIVE, ALLOWED)
    assert not forecast(1.0, 1.0, seconds=YOUNG_SECONDS).closes_within(np.inf, OBJECTIVE, ALLOWED)


def test_where_there_is_little_time_a_proof_is_judged_sooner():
    limit = 20.0
    young = Portfolio().young_share * limit
    for seconds, is_judged in ((0.9 * young, False), (1.1 * young, True)):
        found = GapForecast(Portfolio(), limit)
        for _ in range(2):
            found.book(0.5 * seconds, OBJECTIVE - 1.0)
        assert found.closes_within(0.0, OBJECTIVE, ALLOWED) is not is_judged


def test_the_end_of_a_young_proof_is_forecast_all_the_same():
    found = forecast(3.0, 1.0, 0.5, 1.0 / 16.0, seconds=0.1)
    needed = 0.2 * (0.5 - ALLOWED**0.25) / 0.5
    assert found.ends_within(1.01 * needed, OBJECTIVE, ALLOWED)
    assert not found.ends_within(0.99 * needed, OBJECTIVE, ALLOWED)


@pytest.mark.parametrize(("share", "closes"), [(1.0, False), (1.01 * CLOSING, False), (0.99 * CLOSING, True)])
def test_a_gap_that_falls_too_little_is_not_about_to_close(share, closes):
    assert forecast(1.0, 1.0, 1.0, share).closes_within(np.inf, OBJECTIVE, ALLOWED) is closes


def test_a_gap_goes_on_falling_as_in_the_second_half():
    """Its fourth root falls from 1 to a half in two seconds."""
    found = forecast(3.0, 1.0, 0.5, 1.0 / 16.0)
    needed = 2.0 * (0.5 - ALLOWED**0.25) / 0.5
    assert found.closes_within(1.01 * needed, OBJECTIVE, ALLOWED)
    assert not found.closes_within(0.99 * needed, OBJECTIVE, ALLOWED)


def test_where_rounds_take_ever_longer_the_gap_falls_as_a_power_of_the_work():
    """Here as its square: it is a quarter of what it was at half of the work."""
    found = GapForecast(Portfolio(), in_rounds=True)
    assert found.seconds_to_end(OBJECTIVE, ALLOWED) == np.inf
    for worked in range(1, 5):
        found.book(1.0, OBJECTIVE - 1.0 / worked**2)
    assert found.seconds_to_end(OBJECTIVE, ALLOWED) == pytest.approx(1.0 / np.sqrt(ALLOWED) - 4.0)
    assert found.seconds_to_end(OBJECTIVE, 0.0) == np.inf


def test_a_better_incumbent_is_no_gain_of_the_proof():
    found = forecast(1.0, 1.0, 1.0, 1.0)
    assert not found.closes_within(np.inf, OBJECTIVE - 0.9, ALLOWED)


def test_a_first_bound_counts_as_a_gain():
    assert forecast(np.inf, np.inf, np.inf, 1.0).closes_within(0.1, OBJECTIVE, ALLOWED)


def test_without_a_bound_or_an_incumbent_nothing_is_about_to_close():
    assert not forecast(np.inf, np.inf, np.inf, np.inf).closes_within(np.inf, OBJECTIVE, ALLOWED)
    assert not forecast(1.0, 0.8, 0.6, 0.4).closes_within(np.inf, np.inf, ALLOWED)


def test_short_steps_add_up():
    found = forecast(*np.linspace(1.0, 0.0, 1001), seconds=0.01)
    assert found.closes_within(1.0, OBJECTIVE, ALLOWED)
    assert len(found._times) < 150


def test_a_bound_that_was_known_before_is_no_gain():
    found = GapForecast(Portfolio(), bound=OBJECTIVE - 1.0)
    for bound in (-np.inf, OBJECTIVE - 1.0):
        found.book(YOUNG_SECONDS, bound)
    assert not found.closes_within(np.inf, OBJECTIVE, ALLOWED)
