"""Settings, their rivals, and how trials end."""

from __future__ import annotations

import math

import pytest

from headrace.trials import PAIRS, VOIDS, Bounds, Direction, Setting, Trial, find_rival, scheduled, threshold

MIB = 1 << 20
BOUNDS = Bounds(in_flight=64, bytes_in_flight=18 * MIB, smallest=MIB // 4, largest=16 * MIB)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ((2, 6 * MIB), (2, 6 * MIB)),
        ((3, 6 * MIB), (3, 6 * MIB)),
        ((4, 6 * MIB), (4, 3 * MIB)),
        ((0, 6 * MIB), (1, 6 * MIB)),
        ((1, 24 * MIB), (1, 12 * MIB)),
        ((200, 6 * MIB), (64, MIB * 3 // 16)),
        ((2, 1), (2, MIB // 4)),
    ],
)
def test_the_size_gives_way_to_the_concurrency_by_halves(wanted, found):
    expected = Setting(found[0], max(found[1], BOUNDS.smallest))
    assert BOUNDS.fit(*wanted) == expected


@pytest.mark.parametrize(
    ("direction", "best", "rival"),
    [
        (Direction.TWICE, (2, 6), (4, 3)),
        (Direction.MORE, (1, 6), (2, 6)),
        (Direction.MORE, (2, 6), (3, 6)),
        (Direction.MORE, (3, 6), (6, 3)),
        (Direction.MORE, (8, 1), (12, 1)),
        (Direction.MORE, (64, 0.25), None),
        (Direction.FEWER, (9, 1), (6, 1)),
        (Direction.FEWER, (2, 6), (1, 6)),
        (Direction.FEWER, (1, 6), None),
        (Direction.LARGER, (1, 6), (1, 12)),
        (Direction.LARGER, (3, 6), None),
        (Direction.SMALLER, (2, 6), (2, 3)),
        (Direction.SMALLER, (2, 0.25), None),
    ],
    ids=str,
)
def test_rivals(direction, best, rival):
    found = find_rival(direction, Setting(best[0], int(best[1] * MIB)), int(best[1] * MIB), BOUNDS)
    assert found == (None if rival is None else Setting(rival[0], int(rival[1] * MIB)))


def test_fewer_in_flight_may_be_large_again():
    assert find_rival(Direction.FEWER, Setting(4, 3 * MIB), 6 * MIB, BOUNDS) == Setting(3, 6 * MIB)


def test_a_size_that_a_user_chose_is_kept():
    fixed = Bounds(in_flight=64, bytes_in_flight=18 * MIB, smallest=5 * MIB, largest=5 * MIB)
    best = fixed.fit(2, 5 * MIB)
    for direction in (Direction.LARGER, Direction.SMALLER):
        assert find_rival(direction, best, 5 * MIB, fixed) is None
    assert find_rival(Direction.MORE, best, 5 * MIB, fixed) == Setting(3, 5 * MIB)
    assert find_rival(Direction.MORE, Setting(3, 5 * MIB), 5 * MIB, fixed) is None, "the memory is used up"


def test_every_direction_of_the_long_run_has_its_window():
    windows = [scheduled(index) for index in range(0, 64, 8)]
    assert [window for window, _ in windows] == list(range(8))
    assert [direction for _, direction in windows] == [
        Direction.MORE,
        Direction.FEWER,
        Direction.LARGER,
        None,
        Direction.MORE,
        Direction.FEWER,
        Direction.SMALLER,
        None,
    ]


def test_more_in_flight_must_bring_more_the_nicer_the_load():
    best, rival = Setting(2, MIB), Setting(4, MIB)
    plain = threshold(Direction.MORE, best, rival, alone=False, nice=False)
    alone = threshold(Direction.MORE, best, rival, alone=True, nice=False)
    nice = threshold(Direction.MORE, best, rival, alone=False, nice=True)
    assert 0.0 < plain < alone < nice < math.log(2.0)
    assert threshold(Direction.FEWER, rival, best, alone=False, nice=False) == -plain
    assert threshold(Direction.MORE, Setting(1, MIB), best, alone=False, nice=False) < 0.0, "who is at the floor rises"


def play(*ratios, spread=0.05, direction=Direction.MORE, at_least=0.0):
    """Verdicts after each pair."""
    trial = Trial(direction, Setting(3, MIB), at_least)
    verdicts = []
    for ratio in ratios:
        trial.add(None if ratio is None else 100.0 * math.exp(ratio), 100.0)
        verdicts.append(trial.verdict(spread))
    return verdicts


def test_a_clear_loss_ends_a_trial_at_once_and_a_clear_win_after_two_pairs():
    assert play(-0.5) == [False]
    assert play(0.5, 0.5) == [None, True]
    assert play(0.5, direction=Direction.TWICE) == [True]


def test_what_is_not_clear_is_decided_by_the_median_in_the_end():
    assert play(0.01, 0.02, 0.01, 0.03) == [None] * (PAIRS - 1) + [True]
    assert play(0.01, -0.02, -0.01, 0.0) == [None] * (PAIRS - 1) + [False]


def test_a_slot_in_which_the_server_paused_decides_nothing():
    assert play(1.0, -0.03, 0.02, -0.02)[-1] is False
    assert play(5.0, -0.4)[-1] is None, "two pairs that contradict each other are not clear"


def test_noise_asks_for_more_pairs():
    assert play(-0.2, spread=0.05) == [False]
    assert play(-0.2, spread=0.3) == [None]


def test_a_trial_that_cannot_be_measured_is_given_up():
    assert play(*[None] * VOIDS) == [None] * (VOIDS - 1) + [False]
