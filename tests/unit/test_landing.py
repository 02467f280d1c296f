"""Until when requests of a run that was killed may still be applied."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headrace.journal_writer import BEAT
from headrace.landing import Landing, landing_after
from headrace.retry import LONGEST
from headrace.settling import GRACE

NOW, WALL = 5.0, 1000.0


def landing(left, **options):
    """What is to be reckoned with where the lock says that requests may land for ``left`` seconds more."""
    store = SimpleNamespace(may_land_until=WALL + left)
    return landing_after(store, clock=lambda: NOW, wall_clock=lambda: WALL, **{"rpc_timeout": 60.0, **options})


def test_what_was_sent_after_the_last_sign_of_life_is_waited_for_too():
    assert landing(30.0) == Landing(NOW + BEAT + 30.0, NOW + BEAT + 30.0 + GRACE * 60.0)
    assert landing(-BEAT / 2) is not None
    assert landing(-2 * BEAT) is None


@pytest.mark.parametrize(("timeout", "most"), [(60.0, LONGEST), (3600.0, 3600.0)])
def test_a_clock_that_was_set_back_makes_nobody_wait_for_longer_than_a_deadline(timeout, most):
    assert landing(1e9, rpc_timeout=timeout).until == NOW + BEAT + most
