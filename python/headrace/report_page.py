"""A load's report as one HTML page that needs nothing else: no script, no network, no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from headrace.plots import Line, Plot
from headrace.quantities import count, duration, number_of, size

__all__ = ["GENERATOR", "report_page"]

#: What every page has near its beginning.
GENERATOR = '<meta name="generator" content="headrace">'

Report = Mapping[str, Any]

#: Lines of a table that are shown; the report has all of them.
SHOWN = 200
_VERDICTS = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report_page(report: Report) -> str:
    """The page of a report.

    Args:
        report: :meth:`headrace.LoadReport.to_dict`, or the JSON of a load read again.

    Returns:
        HTML in which every text of the report is escaped.

    Raises:
        KeyError: If it is not a load's report.
    """
    title = f"{report['collection']}: {_outcome(report)}"
    sections = [
        _head(report),
        _plots(report),
        _counted("Refused rows by reason", "reason", "rows", report.get("reject_reasons") or {}),
        _counted("Requests sent again by kind of answer", "answer", "requests", report["retries"]),
        _files(report["files"]),
        _mapping(report["mapping"]),
        _details(report),
    ]
    style = resources.files("headrace").joinpath("report_page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{GENERATOR}\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def _outcome(report: Report) -> str:
    failure = report["failure"]
    status = str(report["status"])
    return status if failure is None else status.removesuffix(failure).rstrip(": ")


def _head(report: Report) -> str:
    tone = {0: "good", 3: "fair"}.get(report["exit_status"], "bad")
    database = f", database {report['database']}" if report["database"] else ""
    lines = [
        "<header>",
        f'<p class="kicker">headrace load into {escape(report["uri"] + database)}</p>',
        f"<h1>{escape(report['collection'])}</h1>",
        f'<p class="outcome {tone}">{escape(_outcome(report))}</p>',
    ]
    if report["failure"] is not None:
        lines.append(f'<p class="failure">{escape(report["failure"])}</p>')
    lines += ["</header>", _tiles(report), _verdicts(report)]
    return "\n".join(lines)


def _tiles(report: Report) -> str:
    latency = report["latency_ms"]
    tiles = {
        "rows stored": count(report["rows_stored"]),
        "time": duration(report["seconds"]),
        "rows per second": count(report["rows_per_second"]),
        "sent": size(report["bytes_sent"]),
        "requests": count(report["batches"]),
        "median latency": f"{latency['p50']:,.0f} ms" if latency else "none",
        "retries": count(sum(report["retries"].values())),
        "rejected": count(report["rows_rejected"]),
    }
    cells = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in tiles.items()]
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def _verdicts(report: Report) -> str:
    """A bar of the rows read by verdict, and the same as a sum."""
    read = report["rows_read"]
    rows = {verdict: report[f"rows_{verdict}"] for verdict in _VERDICTS}
    rows = {verdict: number for verdict, number in rows.items() if number}
    bar = "".join(
        f'<i class="{verdict}" style="flex-grow:{number / read:.6f}"></i>' for verdict, number in rows.items()
    )
    names = "".join(f'<span><i class="{name}"></i>{count(number)} {name}</span>' for name, number in rows.items())
    total = report["rows_total"]
    of_total = "" if total is None or total == read else f" of {count(total)}"
    unread = "" if report["source_exhausted"] else "; the rest was not read"
    sentence = f"<p>{number_of(read, 'row')} read{of_total}: {names or 'none'}{unread}</p>"
    return f'<section class="verdicts"><div class="bar">{bar}</div>{sentence}</section>'


def _plots(report: Report) -> str:
    trace = report.get("trace") or {}
    columns = trace.get("columns") or {}
    if len(columns.get("seconds", ())) < 2:
        return '<section class="note">The load was too short for plots.</section>'
    times = [0.0, *columns["seconds"]]
    phases = [(name, began) for name, began in trace["phases"].items() if name not in ("preparing", "done")]

    def of(name: str) -> list[float]:
        return [columns[name][0], *columns[name]]

    def rates(name: str) -> list[float | None]:
        found = _ratios(columns[name], columns["seconds"])
        return [found[0], *found]

    latency = _ratios(columns["latency_seconds"], columns["batches"])
    in_flight = [Line(of("in_flight_limit"), "limit", "second", steps=True), Line(of("in_flight"), "in flight")]
    retries = [
        Line([0.0, *columns["retries"]], "requests sent again", "alarm", steps=True),
        Line([0.0, *columns["rows_rejected"]], "rows refused", "second", steps=True),
    ]
    plots = [
        Plot("Rows stored per second", times, [Line(rates("rows_stored"), "rows per second")], phases, _amount),
        Plot("Bytes sent per second", times, [Line(rates("bytes_sent"), "bytes per second")], phases, size),
        Plot("Latency of requests, mean", times, [Line([None, *latency], "latency")], phases, _seconds),
        Plot("Requests in flight", times, in_flight, phases, _amount),
        Plot("Size of requests", times, [Line(of("request_bytes"), "size", steps=True)], phases, size),
        Plot("Retries and refused rows so far", times, retries, phases, _amount),
    ]
    if report["throttled_seconds"]:
        share = Line(rates("throttled_seconds"), "share of time")
        plots.append(Plot("Held back by the server", times, [share], phases, _share))
    figures = [f"<figure><figcaption>{_legend(plot)}</figcaption>{plot.svg()}</figure>" for plot in plots]
    return f'<section class="plots">{"".join(figures)}</section>'


def _legend(plot: Plot) -> str:
    title = f"<b>{escape(plot.title)}</b>"
    if len(plot.lines) == 1:
        return title
    return title + "".join(f'<span class="{line.style}">{escape(line.name)}</span>' for line in plot.lines)


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float | None]:
    """What ``above`` grew by per growth of ``below``, point by point; None where that did not grow."""
    ratios: list[float | None] = []
    for index in range(len(above)):
        before = (above[index - 1], below[index - 1]) if index else (0.0, 0.0)
        grown = below[index] - before[1]
        ratios.append((above[index] - before[0]) / grown if grown > 0 else None)
    return ratios


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _seconds(value: float) -> str:
    return "0" if value == 0 else f"{value * 1000:g} ms" if value < 1 else f"{value:g} s"


def _share(value: float) -> str:
    return f"{value * 100:g} %"


def _counted(title: str, what: str, unit: str, numbers: Mapping[str, int]) -> str:
    if not numbers:
        return ""
    most = max(numbers.values())
    rows = [
        f'<tr><td>{escape(name)}</td><td class="number">{count(number)}</td>'
        f'<td class="share"><i style="width:{100 * number / most:.1f}%"></i></td></tr>'
        for name, number in sorted(numbers.items(), key=lambda item: -item[1])
    ]
    head = f'<tr><th>{what}</th><th class="number">{unit}</th><th></th></tr>'
    return f"<section><h2>{title}</h2><table>{head}{''.join(rows)}</table></section>"


def _files(files: Sequence[Mapping[str, Any]]) -> str:
    if not files:
        return ""
    rows = []
    for entry in files[:SHOWN]:
        numbers = {name: entry.get(name) for name in ("resumed", *_VERDICTS)}
        verdicts = ", ".join(f"{count(number)} {name}" for name, number in numbers.items() if number) or "none"
        rows.append((str(entry["source"]), "?" if entry["rows"] is None else count(entry["rows"]), verdicts))
    more = f"<p>and {count(len(files) - SHOWN)} more in the report</p>" if len(files) > SHOWN else ""
    cells = "".join(
        f'<tr><td>{escape(path)}</td><td class="number">{escape(number)}</td><td>{escape(verdicts)}</td></tr>'
        for path, number, verdicts in rows
    )
    head = '<tr><th>file</th><th class="number">rows</th><th>became</th></tr>'
    return f"<section><h2>Files</h2><table>{head}{cells}</table>{more}</section>"


def _mapping(mapping: Sequence[Mapping[str, str]]) -> str:
    if not mapping:
        return ""
    names = ("source", "source_type", "field", "field_type", "note")
    cells = "".join(f"<tr>{''.join(f'<td>{escape(line[name])}</td>' for name in names)}</tr>" for line in mapping)
    head = "<tr><th>column</th><th>type</th><th>field</th><th>type</th><th>note</th></tr>"
    return f"<section><h2>Columns and fields</h2><table>{head}{cells}</table></section>"


def _details(report: Report) -> str:
    verify, settled = report["verify"], report["concurrency"]
    facts = {
        "delivery": f"{report['guarantee']}; {report['mode']}: {report['mode_reason']}",
        "settled at": f"{settled['in_flight']} in flight, {size(settled['request_bytes'])} a request",
        "verified": "not asked for"
        if verify is None
        else f"{verify['level']}: {verify['status']}, {number_of(verify['checked'], 'row')} checked",
        "resumed": f"{number_of(report['rows_resumed'], 'row')} that earlier runs had stored",
        "throttled": duration(report["throttled_seconds"]),
        "client": f"{duration(report['client_cpu_seconds'])} CPU, {size(report['peak_in_flight_bytes'])} of window",
        "rejects file": report["rejects_file"] or "none",
        "journal": report["journal"] or "none",
        "state": report["state_dir"],
    }
    cells = [f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in facts.items()]
    cells += [f"<tr><th>note</th><td>{escape(note)}</td></tr>" for note in report["notes"]]
    return f'<section><h2>Details</h2><table class="facts">{"".join(cells)}</table></section>'
