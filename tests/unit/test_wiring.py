"""What a load makes of its options."""

from __future__ import annotations

import pytest

from headrace.config import LoadOptions
from headrace.throttle import FIRST_BYTES
from headrace.wiring import connections, copied_bytes, make_throttle, request_size

MIB = 1 << 20


@pytest.mark.parametrize("window", [64 * MIB, 256 * MIB, 64 << 10, 100])
@pytest.mark.parametrize("in_flight", [None, 1, 2, 8])
def test_source_batches_requests_and_copies_fit_into_the_window(window, in_flight):
    options = LoadOptions(window_bytes=window, max_in_flight=in_flight)
    size = request_size(options)
    at_first = min(in_flight or 2, 2)
    # Of the smallest windows a byte is more than a part.
    assert 1 <= size <= FIRST_BYTES
    assert 3 * size + size + 2 * at_first * size <= max(window, 8)
    assert at_first * size <= max(copied_bytes(options), 2)


def test_the_first_requests_are_of_the_size_of_source_batches():
    for window in (64 * MIB, 16 * MIB, 1 * MIB):
        options = LoadOptions(window_bytes=window)
        assert make_throttle(options, lite=False).request_bytes == pytest.approx(request_size(options), rel=0.05)


def test_a_far_server_gets_more_connections():
    assert connections(LoadOptions()) == connections(LoadOptions(), round_trip=0.001) == 2
    assert connections(LoadOptions(), round_trip=0.05) == 8
    assert connections(LoadOptions(channels=3), round_trip=0.05) == 3
