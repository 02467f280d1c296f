"""Texts that stand for values: two of them may be one document, one geometry, one instant."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.texts import json_equal, micros_of, same_document, same_geometry, text_of_micros, zone_named


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, True, False),
        (0, False, False),
        (1, 1.0, True),
        (None, False, False),
        ([], {}, False),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("1", 1, False),
    ],
)
def test_json_values_are_equal_by_type_and_value(left: object, right: object, equal: bool) -> None:
    assert json_equal(left, right) is equal
    assert json_equal(right, left) is equal


def test_a_broken_document_is_no_value():
    assert same_document(b'{"a":1}', '{ "a": 1 }')
    assert not same_document("{", "{")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("POINT(1 2)", "POINT (1 2)"),
        ("POINT (1 2)", " point  ( 1.0   2e0 ) "),
        ("POINT (+.5 -0)", "POINT (0.50 0)"),
        ("POINTZ(1 2 3)", "POINT Z (1 2 3)"),
        ("POINTZM (1 2 3 4)", "POINT ZM (1 2 3 4)"),
        ("MULTIPOINT (1 2, 3 4)", "MULTIPOINT ((1 2), (3 4))"),
        ("MULTIPOINT Z (1 2 3)", "MULTIPOINTZ((1 2 3))"),
        (
            "POLYGON((0 0,1 0,1 1,0 0),(0 0,.5 0,.5 .5,0 0))",
            "POLYGON ((0 0, 1 0, 1 1, 0 0), (0 0, 0.5 0, 0.5 0.5, 0 0))",
        ),
        ("GEOMETRYCOLLECTION(MULTIPOINT(1 2),POINT(3 4))", "GEOMETRYCOLLECTION (MULTIPOINT ((1 2)), POINT (3 4))"),
        ("LINESTRING EMPTY", "linestring empty"),
        ("SRID=4326;POINT (1 2)", "SRID=4326;POINT (1 2)"),
    ],
)
def test_ways_of_writing_one_geometry(left, right):
    assert same_geometry(left, right)
    assert same_geometry(right, left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("POINT (1 2)", "POINT (1 3)"),
        ("POINT (1 2)", "POINT (12)"),
        ("POINT (1 2)", "POINT Z (1 2)"),
        ("LINESTRING (1 2, 3 4)", "LINESTRING (3 4, 1 2)"),
        ("MULTILINESTRING ((1 2, 3 4), (5 6, 7 8))", "MULTILINESTRING ((1 2, 3 4, 5 6, 7 8))"),
        ("POLYGON ((0 0, 1 0, 1 1, 0 0))", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))"),
        ("SRID=4326;POINT (1 2)", "POINT (1 2)"),
        ("?", "??"),
    ],
)
def test_other_geometries(left, right):
    assert not same_geometry(left, right)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:00", 0),
        ("1970-01-01T08:00:00.000001+08:00", 1),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ("2025-02-30T00:00:00Z", None),
        ("noon", None),
    ],
)
def test_times_are_read_to_the_microsecond(text, micros):
    assert micros_of(text) == micros


def test_a_time_without_offset_is_of_the_given_zone():
    assert micros_of("1970-01-01T08:00:00", zone_named("Asia/Shanghai")) == 0
    assert zone_named("") is UTC
    assert zone_named("no/such zone") is UTC


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_instants_survive_as_text(micros):
    assert micros_of(text_of_micros(micros)) == micros
