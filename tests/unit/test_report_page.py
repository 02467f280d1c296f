"""The page of a report: complete, well-formed, and with nothing in it that runs or loads."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from headrace.plots import Line, Plot, clock, ticks
from headrace.report_page import report_page
from headrace.tracing import COUNTERS, GAUGES, Trace
from tests.unit.test_report import DONE

NASTY = "<script>alert('\"&')</script>"
VOID = {"meta", "i"}


def trace(looks):
    """A steady load with a retry in the middle."""
    kept = Trace()
    for number in range(1, looks):
        kept.add(dict.fromkeys((*COUNTERS, *GAUGES), number) | {"retries": int(number > looks // 2)}, "sending")
    return kept.finish(dict.fromkeys((*COUNTERS, *GAUGES), looks), "verifying")


def page(**changes):
    return report_page(dataclasses.replace(DONE, **changes).to_dict())


class Balanced(HTMLParser):
    """Keeps the open elements; raises where one ends that was not begun last."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def parsed(text):
    parser = Balanced()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.seen


def test_the_page_says_what_became_of_the_rows():
    text = page(rows_rejected=3, rows_read=13, reject_reasons={"v: expected finite values": 3}, trace=trace(20))
    for part in ("10 stored", "3 rejected", "v: expected finite values", "Rows stored per second"):
        assert part in text
    parsed(text)


def test_texts_of_the_report_are_escaped():
    changes = {
        "collection": NASTY,
        "failure": NASTY,
        "notes": [NASTY],
        "reject_reasons": {NASTY: 1},
        "retries": {NASTY: 1},
        "files": [{"source": NASTY, "rows": None, "stored": 1}],
        "mapping": [dict.fromkeys(("source", "source_type", "field", "field_type", "note"), NASTY)],
        "rejects_file": NASTY,
    }
    text = page(**changes)
    assert NASTY not in text
    assert "script" not in {tag for tag, _ in parsed(text)}


def test_nothing_is_loaded_and_nothing_runs():
    elements = parsed(page(trace=trace(5)))
    assert not {tag for tag, _ in elements} & {"script", "link", "img", "iframe", "object"}
    assert not [
        name for _, attributes in elements for name in attributes if name in ("href", "src") or name[:2] == "on"
    ]


@pytest.mark.parametrize("looks", [2, 3, 500])
def test_plots_are_well_formed_and_stay_inside_their_frame(looks):
    plots = re.findall(r"<svg.*?</svg>", page(trace=trace(looks)), re.S)
    assert len(plots) == 6
    for plot in map(ET.fromstring, plots):
        _, _, width, height = map(float, plot.attrib["viewBox"].split())
        for path in plot.iter("path"):
            for command, numbers in re.findall(r"([MLHV])([\d. -]+)", path.attrib["d"]):
                values = [float(number) for number in numbers.split()]
                across = values[:1] if command in "MLH" else []
                up = values[-1:] if command in "MLV" else []
                assert all(0 <= value <= width for value in across)
                assert all(0 <= value <= height for value in up)


@pytest.mark.parametrize("kept", [{}, trace(1)])
def test_a_load_too_short_for_plots_says_so(kept):
    assert "too short for plots" in page(trace=kept)


def test_a_gap_divides_a_line_and_a_single_value_is_a_dot():
    lines = [Line([1.0, None, 2.0, 3.0], "a")]
    drawn = ET.fromstring(Plot("t", [0.0, 1.0, 2.0, 3.0], lines, [], str).svg())
    assert len(list(drawn.iter("circle"))) == 1
    assert [path.attrib["class"] for path in drawn.iter("path")] == ["main", "area", "main"]


@pytest.mark.parametrize(
    ("most", "over", "expected"),
    [
        (1.0, True, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (7.0, True, [0, 2, 4, 6, 8]),
        (0.03, True, [0, 0.01, 0.02, 0.03]),
        (9.7, False, [0, 2, 4, 6, 8]),
        (900, False, [0, 300, 600, 900]),
        (3 * 86_400, False, [0, 86_400, 172_800, 259_200]),
        (90 * 86_400, False, [15 * 86_400 * n for n in range(7)]),
    ],
)
def test_ticks_are_round(most, over, expected):
    assert ticks(most, over=over) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (2.5, "2.5 s"), (60, "1 min"), (90, "90 s"), (300, "5 min"), (5400, "1:30 h"), (172_800, "2 d")],
)
def test_times_are_read_at_a_glance(seconds, text):
    assert clock(seconds) == text


def test_a_source_that_was_not_read_to_its_end_is_told():
    assert "the rest was not read" in page(source_exhausted=False, rows_total=None)
    assert "the rest was not read" not in page()
