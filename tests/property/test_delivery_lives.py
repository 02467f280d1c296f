"""Any interleaving of answers, late writes, kills of the loader and resumes ends where one undisturbed run would have.

A state machine over a server in virtual time and a journal on the disk (:mod:`tests.fake.lives`). When the disturbances
are over the same command is run once more; then each key is stored once, in its last version, and every row is in the
account once. Where the server makes the keys no row is missing, and no more are doubled than the report says.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
from collections import Counter, defaultdict, deque
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from headrace.journal import MARK_REQUESTS
from headrace.report import Verdict
from tests.fake.lives import World
from tests.fake.rig import TIMEOUT
from tests.fake.wire import ok, refused
from tests.property.answers import ACTIONS, BAD

#: Where a commit costs nothing: what a power cut leaves is not asked here.
MEMORY = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)
SHAPES = st.fixed_dictionaries(
    {
        # How many rows each file has.
        "files": st.lists(st.integers(1, 60), min_size=1, max_size=2),
        # How many keys there are to draw from; None for ascending ones.
        "keys": st.none() | st.integers(2, 80),
        "seed": st.integers(0, 1000),
        "mode": st.sampled_from(["auto", "auto", "insert", "upsert"]),
        "loaded": st.booleans(),
        "limit": st.integers(1, 4),
        "lag": st.sampled_from([0.1, 0.1, 30.0]),
        "marks": st.sampled_from([1, 3, MARK_REQUESTS]),
        "pace": st.sampled_from([0.0, 0.05, 5.0]),
        "bad": st.booleans(),
    }
)
ANSWERS = st.lists(st.sampled_from(sorted(ACTIONS)), min_size=1, max_size=6)


def running(machine):
    return machine.life is not None and not machine.life.over


class Lives(RuleBasedStateMachine):
    """One load, however often it dies."""

    keyed = True

    def __init__(self):
        super().__init__()
        self._directory = tempfile.TemporaryDirectory(dir=MEMORY)
        self.world = self.life = None
        self.answers = deque()
        self.unexplained = 0

    @initialize(shape=SHAPES)
    def begin(self, shape):
        rng, numbers = random.Random(shape["seed"]), itertools.count()
        keys = shape["keys"]
        files = [
            [next(numbers) if keys is None else rng.randrange(keys) for _ in range(rows)] for rows in shape["files"]
        ]
        self.bad = BAD if shape["bad"] and self.keyed else set()
        options = {name: shape[name] for name in ("loaded", "limit", "lag", "marks", "pace")}
        mode = shape["mode"] if self.keyed else "auto"
        self.world = World(Path(self._directory.name), files, keyed=self.keyed, mode=mode, **options)
        self.world.wire.default = self._behave

    async def _behave(self, wire, write):
        if self.bad & set(write.keys):
            return await refused(1100, "bad row", legacy=5)(wire, write)
        return await (self.answers.popleft() if self.answers else ok)(wire, write)

    @rule(names=ANSWERS)
    def the_server_will_answer(self, names):
        self.answers.extend(ACTIONS[name] for name in names)
        self.unexplained += sum(name.startswith(("unexpected", "broken")) for name in names)

    @precondition(lambda self: self.life is None)
    @rule(again=st.sampled_from([False, False, False, True]))
    def the_command_is_run(self, again):
        # Where the server makes the keys that is every row twice, and nobody is to be told so.
        self.life = self.world.start(again=again and self.keyed)

    @precondition(running)
    @rule(times=st.integers(1, 60))
    def the_loop_turns(self, times):
        async def turn():
            for _ in range(times):
                await asyncio.sleep(0)

        self.world.run(turn())

    @precondition(running)
    @rule(seconds=st.sampled_from([0.005, 0.02, 0.5, 5.0, 30.0, 61.0, 200.0]))
    def time_passes(self, seconds):
        self.world.run(asyncio.sleep(seconds))

    @precondition(running)
    @rule(number=st.integers(1, 6))
    def requests_are_sent(self, number):
        self.world.run(self.life.requests(number))

    @precondition(running)
    @rule()
    def the_loader_is_killed(self):
        self.life.kill()
        self.life = None

    @precondition(running)
    @rule()
    def the_loader_is_terminated(self):
        self.life.stop()

    @precondition(lambda self: self.life is not None and self.life.over)
    @rule()
    def the_run_has_ended(self):
        self.end_run()

    def end_run(self):
        """The last things of a run; returns it."""
        life, self.life = self.life, None
        life.end()
        for row, verdict in life.fates.items():
            if verdict is Verdict.STORED:
                assert self._is_there(row), f"row {row} is said to be stored"
        return life

    def _is_there(self, row):
        wire = self.world.wire
        if not self.keyed:
            return any(row in versions for versions in wire.rows.values())
        return any(version >= row for version in wire.rows.get(self.world.keys[row], ()))

    def teardown(self):
        try:
            if self.world is not None:
                self.finish()
        finally:
            if self.world is not None:
                self.world.close()
            self._directory.cleanup()

    def finish(self):
        """The disturbances are over; the command is run until it has come to its end."""
        world = self.world
        self.answers.clear()
        for _ in range(2):
            if self.life is None:
                self.life = world.start()
            world.run(self.life.ended())
            last = self.end_run()
        again = self._one_more_run()
        # What the network still holds comes now, too late for anybody to mend.
        world.run(asyncio.sleep(10 * TIMEOUT))
        assert again.fates == last.fates
        assert Counter(last.fates.values()).keys() <= {Verdict.STORED, Verdict.SUPERSEDED, Verdict.REJECTED}
        assert sorted(last.fates) == list(range(len(world.keys)))
        self.check(last)

    def _one_more_run(self):
        """A run that has nothing to do."""
        sent = len(self.world.wire.writes)
        self.life = self.world.start()
        self.world.run(self.life.ended())
        again = self.end_run()
        assert len(self.world.wire.writes) == sent
        assert again.resumption.complete
        return again

    def check(self, last):
        """Each key is there once, in its last version that the server takes."""
        rows = defaultdict(list)
        for row, key in enumerate(self.world.keys):
            rows[key].append(row)
        for key, versions in rows.items():
            found = sorted(self.world.wire.rows.get(key, ()))
            rejected = [row for row in versions if last.fates[row] is Verdict.REJECTED]
            if key in self.bad:
                assert not found
                assert versions[-1] in rejected
            elif rejected:
                assert self.unexplained > 2, (key, found)
                assert set(found) <= set(versions)
            else:
                assert found == [versions[-1]], (key, found, versions)


class ServerMadeKeys(Lives):
    """The same where the server makes the keys."""

    keyed = False

    def check(self, last):
        """Nothing is missing, and what is doubled is counted."""
        found = Counter(version for versions in self.world.wire.rows.values() for version in versions)
        missing = set(range(len(self.world.keys))) - set(found)
        assert {last.fates[row] for row in missing} <= {Verdict.REJECTED}
        doubled = sum(times > 1 and last.fates[row] is Verdict.STORED for row, times in found.items())
        assert doubled <= last.rig.measured.possibly_duplicated + last.rig.ledger.journal.rows_doubled()


def play(machine, examples, **options):
    checks = list(HealthCheck)
    chosen = settings(max_examples=examples, stateful_step_count=30, suppress_health_check=checks, **options)
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.parametrize("machine", [Lives, ServerMadeKeys])
def test_any_interleaving_ends_where_one_run_would_have(machine):
    play(machine, 25, derandomize=True)


def test_a_row_in_doubt_stays_so_until_the_row_that_supersedes_it_is_stored():
    """A late write of it would land over that row, when that is sent by a run that knows of no doubt."""
    lives = Lives()
    shape = {"files": [46], "keys": 6, "seed": 395, "mode": "auto", "loaded": False, "limit": 1, "lag": 0.1}
    lives.begin(shape=shape | {"marks": 1, "pace": 0.0, "bad": False})

    def killed(requests=0):
        lives.the_command_is_run(again=False)
        if requests:
            lives.requests_are_sent(number=requests)
        lives.the_loader_is_killed()

    for _ in range(2):
        killed()
    lives.the_command_is_run(again=False)
    lives.the_loader_is_terminated()
    lives.requests_are_sent(number=1)
    lives.the_run_has_ended()
    lives.the_server_will_answer(names=["broken, stored", "expired, some shards", "broken, stored"])
    for requests in (2, 0, 2, 0, 0):
        killed(requests)
    lives.the_command_is_run(again=False)
    lives.teardown()


@pytest.mark.long
@pytest.mark.parametrize(("machine", "examples"), [(Lives, 2_000), (ServerMadeKeys, 500)])
def test_many_more_interleavings(machine, examples):
    play(machine, examples)
