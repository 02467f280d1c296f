"""The page of a report in a browser: it is drawn, and the browser has nothing to say against it."""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest

from headrace.report_page import report_page
from tests.unit.test_report import DONE
from tests.unit.test_report_page import page, trace

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def browser():
    """Chromium, Debian's package of that name."""
    if shutil.which("chromium") is None:
        subprocess.run(["apt-get", "install", "--yes", "chromium"], check=True, capture_output=True, timeout=600)
    return shutil.which("chromium")


def look(browser, folder, text, *options):
    """What the browser prints of a page, and what it says in its log."""
    (folder / "page.html").write_text(text, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", *options, (folder / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_browser_takes_the_page_as_it_is(browser, tmp_path):
    document, complaints = look(browser, tmp_path, page(trace=trace(300), retries={"throttle": 3}), "--dump-dom")
    # Neither its own policy nor a broken element stops anything.
    assert complaints == []
    assert document.count("<svg ") == 6
    assert document.count("</figure>") == 6


def test_the_policy_of_the_page_stops_what_should_not_be_there(browser, tmp_path):
    text = report_page(DONE.to_dict()).replace("<main>", "<script>document.title = 'changed'</script><main>")
    document, complaints = look(browser, tmp_path, text, "--dump-dom")
    assert "<title>changed</title>" not in document
    assert any("Content Security Policy" in line for line in complaints)


@pytest.mark.parametrize("size", [(1280, 1400), (430, 2000)])
def test_a_picture_of_the_page_is_not_empty(browser, tmp_path, size):
    picture = tmp_path / "page.png"
    options = (f"--screenshot={picture}", "--hide-scrollbars", f"--window-size={size[0]},{size[1]}")
    look(browser, tmp_path, page(trace=trace(300)), *options)
    content = picture.read_bytes()
    assert struct.unpack(">II", content[16:24]) == size
    # A page of one colour has some 10 kB.
    assert len(content) > 40_000
