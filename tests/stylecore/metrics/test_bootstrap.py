"""Intervals: known cases, coverage, and reproducibility."""

import math

import numpy as np
import pytest

from stylecore.metrics.bootstrap import bootstrap_estimate, wilson_share


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_for_many_values():
    values = np.random.default_rng(0).normal(3, 2, 400)
    estimate = bootstrap_estimate(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_the_median_is_not_moved_by_one_wild_value():
    estimate = bootstrap_estimate([1, 2, 3, 4, 5, 6, 7, 8, 1e9], "median")
    assert estimate.value == 5
    assert 1 <= estimate.low < 5 < estimate.high <= 8


def test_intervals_of_95_percent_hold_the_truth_about_that_often():
    generator = np.random.default_rng(1)
    estimates = [bootstrap_estimate(generator.exponential(1, 40)) for _ in range(60)]
    assert 50 <= sum(e.low < 1 < e.high for e in estimates) <= 60


def test_the_same_values_and_seed_give_the_same_interval():
    values = [0.1, 0.5, 0.2, 0.9]
    assert bootstrap_estimate(values) == bootstrap_estimate(values)
    assert bootstrap_estimate(values, seed=1) != bootstrap_estimate(values)


def test_a_single_value_has_no_interval_and_equal_ones_have_no_width():
    single = bootstrap_estimate([0.25], "median")
    assert (single.value, single.low, single.high) == (0.25, None, None)
    equal = bootstrap_estimate([2.0, 2.0, 2.0])
    assert (equal.value, equal.low, equal.high) == (2, 2, 2)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_nothing_and_what_is_not_finite_have_no_estimate(values):
    with pytest.raises(ValueError, match="at least one and finite"):
        bootstrap_estimate(values)


@pytest.mark.parametrize(("wins", "total"), [(0, 5), (7, 10), (40, 80), (1, 1)])
def test_a_share_has_wilsons_interval(wins: int, total: int):
    z = 1.959964
    share = wilson_share(wins, total)
    middle = (wins + z**2 / 2) / (total + z**2)
    half = z / (total + z**2) * math.sqrt(wins * (total - wins) / total + z**2 / 4)
    assert share.value == wins / total
    assert share.low == pytest.approx(max(0, middle - half), abs=1e-6)
    assert share.high == pytest.approx(min(1, middle + half), abs=1e-6)


def test_more_wins_than_votes_are_refused():
    with pytest.raises(ValueError, match="k"):
        wilson_share(3, 2)
