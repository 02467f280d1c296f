"""Who is in flight, who waits, who goes alone."""

from __future__ import annotations

import asyncio

from headrace.errors import HeadraceError
from headrace.retry import AnswerClass
from headrace.throttle import Limits, Throttle
from headrace.traffic import Traffic
from tests import virtual_time


def play(story, *, limit=2):
    """Run ``story(traffic, clock)`` in virtual time."""

    def main(clock):
        return story(Traffic(Throttle(Limits(in_flight=limit), clock=clock), clock=clock), clock)

    return virtual_time.run(main)


def test_one_that_rests_gives_its_place_away_and_takes_one_again():
    async def story(traffic, clock):
        traffic.begin()
        traffic.begin()
        resting = asyncio.create_task(traffic.rest(clock() + 10))
        await asyncio.sleep(1)
        assert (traffic.active, traffic.has_room) == (1, True)
        traffic.begin()
        await asyncio.sleep(20)
        assert not resting.done(), "its time is over, but there is no room"
        traffic.end()
        await resting
        assert traffic.active == 2

    play(story)


def test_a_rest_ends_when_what_it_waits_for_comes_or_the_load_stops():
    async def story(traffic, clock):
        traffic.begin()
        first = asyncio.create_task(traffic.rest(unless=lambda: traffic.stored > 0))
        second = asyncio.create_task(traffic.rest())
        await asyncio.sleep(1)
        traffic.progress()
        await first
        assert not second.done()
        traffic.failure = HeadraceError("stop")
        traffic.changed()
        await second

    play(story, limit=5)


def test_one_that_goes_alone_waits_for_the_others_and_holds_them_back():
    async def story(traffic, clock):
        log = []

        async def call(name, *, alone, seconds):
            async with traffic.sending(1, alone=alone):
                log.append((name, "begins", traffic.calls))
                await asyncio.sleep(seconds)
                log.append((name, "ends", traffic.calls))

        first = asyncio.create_task(call("first", alone=False, seconds=5))
        await asyncio.sleep(1)
        alone = asyncio.create_task(call("alone", alone=True, seconds=5))
        await asyncio.sleep(1)
        third = asyncio.create_task(call("third", alone=False, seconds=1))
        await asyncio.gather(first, alone, third)
        assert [entry[:2] for entry in log] == [
            ("first", "begins"),
            ("first", "ends"),
            ("alone", "begins"),
            ("alone", "ends"),
            ("third", "begins"),
            ("third", "ends"),
        ]
        assert all(calls == 1 for *_, calls in log)

    play(story)


def test_who_gives_up_waiting_to_be_alone_holds_nobody_back():
    async def story(traffic, clock):
        async with traffic.sending(1, alone=False):
            waiting = asyncio.create_task(traffic.sending(1, alone=True).__aenter__())
            await asyncio.sleep(1)
            waiting.cancel()
            await asyncio.wait([waiting])
            async with traffic.sending(1, alone=False):
                assert traffic.calls == 2

    play(story)


def refuse(traffic, seconds):
    """The server refuses a request for its rate, which it can take again after that time."""
    throttle = traffic._throttle
    throttle.answered(throttle.sent(100, 1, aim=throttle.request_bytes), AnswerClass.THROTTLE, rate=100 / seconds)


def test_a_pause_holds_everybody_until_it_is_over_or_the_load_stops():
    async def story(traffic, clock):
        refuse(traffic, 4.0)
        async with traffic.sending(1, alone=False):
            assert clock() == 4.0
        refuse(traffic, 4.0)
        waiting = asyncio.create_task(traffic.sending(1, alone=True).__aenter__())
        await asyncio.sleep(1)
        traffic.failure = HeadraceError("stop")
        traffic.changed()
        await waiting
        assert clock() == 5.0

    play(story)


def test_who_waits_for_a_place_gets_it_with_the_next_answer():
    async def story(traffic, clock):
        throttle = traffic._throttle
        attempt = throttle.sent(1, 1, aim=throttle.request_bytes)
        waiting = asyncio.create_task(traffic.sending(1, alone=False).__aenter__())
        await asyncio.sleep(3)
        assert not waiting.done()
        throttle.answered(attempt, AnswerClass.STORED)
        traffic.changed()
        await waiting
        assert clock() == 3.0

    play(story, limit=1)


def test_a_delivery_goes_on_with_the_next_request_only_where_nobody_rests_and_there_is_room():
    async def story(traffic, clock):
        traffic.begin()
        traffic.begin()
        assert traffic.may_go_on, "it would take its own place"
        traffic.begin()
        assert not traffic.may_go_on
        traffic.end()
        resting = asyncio.create_task(traffic.rest(clock() + 10))
        await asyncio.sleep(1)
        assert not traffic.may_go_on, "one that rests would wait for ever"
        traffic.end()
        await resting

    play(story)
