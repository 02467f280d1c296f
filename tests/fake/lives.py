"""A loader of files that is killed and started again, in virtual time; what survives is the server and the disk.

A :class:`World` holds what outlives a loader: the server with what it is still working at, the journal's directory, the
files. A :class:`Life` is one run of the command: journal, resumption, reading, feeding and sending are the real ones.
:meth:`Life.kill` is kill -9: what was not written stays unwritten, what was sent goes on at the server.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pyarrow as pa

from headrace import journal_writer
from headrace.calls import drive_sync
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint, LoadOptions
from headrace.conform import plan_conform
from headrace.errors import HeadraceError, StoppedError
from headrace.journal import MARK_REQUESTS
from headrace.landing import admit
from headrace.reading import resume
from headrace.resuming import Resumption
from headrace.sending import STOP_GRACE
from headrace.sources import FileIdentity, Source, SourceFile
from headrace.sources.base import Part
from headrace.target import MARK, Target, open_target
from tests.fake.disk import FileFates, Store, Writer
from tests.fake.rig import AUTO_ID, KEYED, Rig, make_ledger, rows
from tests.fake.wire import Wire
from tests.virtual_time import VirtualTimeLoop

__all__ = ["Life", "World"]


class World:
    """What outlives a loader.

    Args:
        directory: The state directory.
        files: The keys of the rows of each file; a row's version is its running number.
        keyed: Whether rows carry their key.
        mode: As in LoadOptions.
        loaded: Whether the collection is in memory.
        limit: Requests in flight.
        target_bytes: The size of a request.
        lag: Seconds for which acknowledgements are gathered before they are written.
        marks: Requests that are marked at once.
        pace: Seconds between two batches of the source.
        at_most_once: As in LoadOptions.
    """

    def __init__(
        self,
        directory,
        files,
        *,
        keyed=True,
        mode="auto",
        loaded=True,
        limit=2,
        target_bytes=130,
        lag=journal_writer.GATHER,
        marks=MARK_REQUESTS,
        pace=0.0,
        at_most_once=False,
    ):
        self.loop = VirtualTimeLoop()
        self.loop.set_exception_handler(self._unexpected)
        self.directory = directory
        self.files = files
        self.keys = [key for keys in files for key in keys]
        self.schema = KEYED if keyed else AUTO_ID
        self.options = LoadOptions(mode=mode, create=True, at_most_once=at_most_once)
        self.clock = self.loop.time
        self.limit, self.target_bytes, self.lag, self.marks, self.pace = limit, target_bytes, lag, marks, pace
        self.wire = Wire(self.clock, self.schema, loaded=loaded)
        self.may_land_until = -3600.0
        self.lives = []
        self.errors = []

    def run(self, coroutine):
        """Run a coroutine to its end, and everything that goes on meanwhile."""
        result = self.loop.run_until_complete(coroutine)
        assert not self.errors, self.errors
        return result

    def start(self, **options):
        """Run the command (again), with more options."""
        life = Life(self, replace(self.options, **options), first=not self.lives)
        self.lives.append(life)
        life.begin()
        return life

    def source(self):
        """The files as a source."""
        first, parts, files = 0, [], []
        for number, keys in enumerate(self.files):
            batch = rows(keys, first=first).select([field.name for field in self.schema.sent_fields])
            label = f"file {number}"
            identity = FileIdentity(f"/{label}", len(keys), 0, "", "")
            parts.append(Part(label, 0, len(keys), lambda size, columns, batch=batch: iter([batch])))
            files.append(SourceFile(label, len(keys), lambda identity=identity: identity))
            first += len(keys)
        schema = pa.schema([(field.name, pa.int64()) for field in self.schema.sent_fields])
        return Source("files", schema, lambda: iter(parts), rows_total=first, replayable=True, files=tuple(files))

    def row(self, label, number):
        """The running number of a row of a file."""
        return sum(len(keys) for keys in self.files[: int(label.split()[1])]) + number

    def close(self):
        """End everything."""
        if tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()

    def _unexpected(self, loop, context):
        self.errors.append(context)


class Connection:
    """A loader's way to the server. What was sent goes on there, whatever becomes of the loader."""

    channels = Wire.channels

    def __init__(self, world):
        self._wire = world.wire
        self._loop = world.loop
        self._open = []
        self.dead = False

    async def call(self, method, request, *, timeout, channel=None, written=None):
        if self.dead:
            await asyncio.Event().wait()
        if method not in ("Insert", "Upsert"):
            return self._wire.ask(method, request)
        answer = self._loop.create_task(self._wire.call(method, request, timeout=timeout, channel=channel))
        # Where nobody waits for it any more its failure is nobody's business.
        answer.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(answer)

    def renew(self, channel):
        self._wire.renew(channel)


class Blocking:
    """The same for calls outside of the loop."""

    def __init__(self, wire):
        self._wire = wire

    def call(self, method, request, *, timeout):
        return self._wire.ask(method, request)


class Life:
    """One run of the command."""

    def __init__(self, world, options, *, first):
        self.world = world
        self.options = options
        self._first = first
        self._task = None
        self.rig = self.resumption = self._writer = None

    @property
    def over(self):
        """Whether it has come to its end."""
        return self._task is not None and self._task.done()

    @property
    def failure(self):
        return self.rig.sender.failure

    @property
    def fates(self):
        """The verdict of each row by its running number."""
        return self.rig.ledger.journal.fates

    def begin(self):
        """Open the journal, prove what it says, begin to read and to send."""
        self._store = Store(self.world)
        try:
            self._begin()
        except BaseException:
            self._store.close()
            raise

    def _begin(self):
        world = self.world
        ledger = make_ledger(world.directory, FileFates(world))
        self._source = world.source()
        self.resumption = Resumption(
            self._store,
            self._source.files,
            ledger.account,
            ledger.journal,
            writer=self._open_writer,
            clock=world.clock,
            wall_clock=world.clock,
        )
        caller = Blocking(world.wire)
        target = self._target(caller)
        plan = plan_conform(self._source.schema, world.schema, options=world.options)
        target = self.resumption.begin(
            plan,
            target,
            endpoint=Endpoint(),
            options=self.options,
            run=lambda operation: drive_sync(caller, operation, sleep=lambda _: None),
        )
        ledger.journal._mark_requests = world.marks
        self._connection = Connection(world)
        self.rig = _LivingRig(
            world.directory,
            world.clock,
            schema=world.schema,
            upsert=target.mode == "upsert",
            limit=world.limit,
            target_bytes=world.target_bytes,
            wire=self._connection,
            ledger=ledger,
            highest_key=self.resumption.highest_key,
            at_most_once=world.options.at_most_once,
        )
        self.rig.resumption = self.resumption
        self._task = world.loop.create_task(self._work())

    async def ended(self):
        """Return once it is over."""
        await asyncio.wait([self._task])

    async def requests(self, number):
        """Return once so many more requests were sent, or it is over."""
        came, wire = asyncio.Event(), self.world.wire
        wanted = len(wire.writes) + number
        wire.arrived = lambda: came.set() if len(wire.writes) >= wanted else None
        waiting = asyncio.create_task(came.wait())
        await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    def stop(self):
        """SIGTERM."""
        self.rig.sender.stop(StoppedError("stopped by SIGTERM"))

    def end(self):
        """What a run does last, once it is :attr:`over`; its rows are in its account."""
        self._task.result()
        self.rig.ledger.account.check()
        assert self.rig.ledger.window.used == 0, "every charge is released"
        assert len(self.fates) == self.rig.ledger.account.rows_read()
        self.rig.ledger.rejects.close()
        self.resumption.close(status="", rejects=self.rig.ledger.rejects)

    def kill(self):
        """kill -9."""
        self._writer.kill()
        self._connection.dead = True
        self._task.cancel()
        self.world.run(asyncio.wait([self._task]))
        self.rig.ledger.rejects.close()
        self._store.close()

    def _open_writer(self, store, run):
        self._writer = Writer(store, run, world=self.world)
        return self._writer

    def _target(self, caller):
        world = self.world
        info = CollectionInfo("c", world.schema, collection_id=7, properties={MARK: "made here"})
        if self._first:
            mode = "upsert" if world.options.mode == "upsert" else "insert"
            return Target(info, created=True, ours=True, mode=mode, mode_reason="", rows_before=0)
        return drive_sync(caller, open_target("c", world.options, info, world.schema, create=True))

    async def _work(self):
        rig = self.rig
        running = asyncio.create_task(rig.sender.run())
        try:
            await self._feed()
            rig.feeder.abandon()
            rig.sender.finish()
            await rig.sender.settled(lambda: STOP_GRACE)
            await running
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def _feed(self):
        rig = self.rig
        try:
            for batch in resume(self._source, self.resumption, max_bytes=400, columns=None, limit=None):
                if rig.sender.failure is not None:
                    return
                await rig.reserve_each(rig.feeder.feed(batch))
                await asyncio.sleep(self.world.pace)
            await rig.flush()
        except HeadraceError:
            if rig.sender.failure is None:
                raise


class _LivingRig(Rig):
    """A rig whose rows may have been sent before."""

    resumption = None

    def submit(self, request, batch):
        keys = batch.column("id") if "id" in batch.schema.names else None
        if doubled := admit(request, self.ledger, keys, self.resumption.landing, clock=self.clock):
            self.ledger.double(doubled)
        super().submit(request, batch)
