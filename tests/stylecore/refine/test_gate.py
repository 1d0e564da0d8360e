from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylecore.refine.gate import (
    ALPHAS,
    GateFigures,
    choose_alpha,
    choose_style_alpha,
    is_allowed,
)

BEFORE = GateFigures(fdrl=1.0, lpips=0.6, ssim=0.3)

finite = st.floats(0, 10)
similarity = st.floats(-1, 1) | st.none()
figures = st.builds(GateFigures, finite, finite, similarity)
wild = st.builds(
    GateFigures, finite | st.just(nan) | st.just(inf), finite | st.just(nan), similarity
)
candidates = st.dictionaries(st.sampled_from(ALPHAS), wild)
of_all_alphas = st.fixed_dictionaries(dict.fromkeys(ALPHAS, wild))


@given(figures, candidates)
def test_kept_picture_is_never_worse_by_the_gates_measures(before, tried):
    choice = choose_alpha(before, tried)
    assert choice.after.fdrl <= before.fdrl
    assert choice.after.lpips <= before.lpips * 1.03
    if before.ssim is not None:
        assert choice.after.ssim >= before.ssim - 0.03 * abs(before.ssim)


@given(figures, candidates)
def test_accepted_picture_gains_at_least_the_least(before, tried):
    choice = choose_alpha(before, tried)
    if choice.is_accepted:
        assert choice.gain >= 0.05
        assert choice.after == tried[choice.alpha]
    else:
        assert choice.after == before
        assert choice.gain == 0


@given(figures, candidates)
def test_no_allowed_strength_gains_more_than_the_chosen_one(before, tried):
    choice = choose_alpha(before, tried)
    for after in tried.values():
        assert not is_allowed(before, after) or after.fdrl >= choice.after.fdrl


@given(st.lists(st.tuples(figures, of_all_alphas), min_size=1, max_size=5))
def test_strength_of_a_style_helps_at_least_half_of_the_pictures(pictures):
    alpha = choose_style_alpha(pictures)
    assert alpha in (0.0, *ALPHAS)
    if alpha > 0:
        accepted = [choose_alpha(before, {alpha: tried[alpha]}) for before, tried in pictures]
        assert sum(choice.is_accepted for choice in accepted) >= len(pictures) / 2


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (replace(BEFORE, fdrl=0.94), True),
        (replace(BEFORE, fdrl=0.96), False),
        (GateFigures(0.5, 0.617, 0.3), True),
        (GateFigures(0.5, 0.619, 0.3), False),
        (GateFigures(0.5, 0.6, 0.292), True),
        (GateFigures(0.5, 0.6, 0.290), False),
        (GateFigures(0.5, 0.6, None), False),
        (GateFigures(nan, 0.6, 0.3), False),
        (GateFigures(0.5, nan, 0.3), False),
        (GateFigures(0.5, 0.6, nan), False),
        (GateFigures(-inf, 0.6, 0.3), False),
    ],
)
def test_gate_allows_a_gain_of_five_and_a_cost_of_three_percent(after, expected):
    assert is_allowed(BEFORE, after) is expected


def test_similarity_below_zero_may_not_fall_much_either():
    before = replace(BEFORE, ssim=-0.1)
    assert is_allowed(before, GateFigures(0.5, 0.6, -0.102))
    assert not is_allowed(before, GateFigures(0.5, 0.6, -0.104))


def test_picture_too_small_for_similarity_is_judged_by_the_rest():
    assert is_allowed(replace(BEFORE, ssim=None), GateFigures(0.5, 0.6, None))


def test_lower_strength_wins_among_equals():
    after = GateFigures(0.5, 0.6, 0.3)
    assert choose_alpha(BEFORE, {1.0: after, 0.25: after, 0.5: after}).alpha == 0.25


def test_picture_that_is_the_paintings_texture_already_is_left_alone():
    assert choose_alpha(GateFigures(0, 0.6, 0.3), {1.0: GateFigures(0, 0.1, 0.9)}).alpha == 0


def test_style_gets_the_strength_with_the_largest_median_gain():
    def tried(quarter: float, half: float) -> dict[float, GateFigures]:
        return {0.25: replace(BEFORE, fdrl=quarter), 0.5: replace(BEFORE, fdrl=half)}

    pictures = [(BEFORE, tried(0.9, 0.5)), (BEFORE, tried(0.9, 0.7)), (BEFORE, tried(0.6, 1.5))]
    assert choose_style_alpha(pictures) == 0.5
    assert choose_style_alpha([pictures[0], *2 * [pictures[2]]]) == 0.25
    assert choose_style_alpha([(BEFORE, tried(0.96, 1.0))]) == 0
