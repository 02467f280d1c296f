"""Numbers for people."""

from __future__ import annotations

import pytest

from headrace.quantities import count, duration, number_of, size


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (4194304, "4.19 MB"), (999_600, "1 MB"), (5.5e15, "5,500 TB")],
)
def test_bytes_are_shown_in_decimal_units(number, text):
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.421, "0.42 s"),
        (12.34, "12.3 s"),
        (59.99, "1 min 00 s"),
        (125, "2 min 05 s"),
        (10920, "3 h 02 min"),
    ],
)
def test_durations_are_shown_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_numbers_have_separators():
    assert count(1234567.4) == "1,234,567"


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12345, "12,345 rows")])
def test_what_is_counted_is_in_the_singular_where_there_is_one(number, text):
    assert number_of(number, "row") == text
