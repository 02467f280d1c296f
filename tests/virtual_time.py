"""An event loop whose clock only moves when nobody has anything to do: minutes of waiting cost nothing.

Work handed to threads is done at once on the loop's own thread, so that what happens is the same in every run.
"""

from __future__ import annotations

import asyncio
import selectors

__all__ = ["run"]


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a time, lets the loop's clock jump to it."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("nobody has anything to do, ever: a coroutine waits for what cannot come")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self):
        return self._virtual.now

    def run_in_executor(self, executor, function, *args):
        future = self.create_future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits it gets it
            future.set_exception(error)
        return future


def run(main):
    """Run the coroutine that ``main`` (called with the loop's clock) makes, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main(runner.get_loop().time))
