"""Run with fsspec (see test_web.py): loads paths and says what came of each.

Its argument has the server's ``uri`` and, by collection, the ``loads``: a path and options.
"""

from __future__ import annotations

import json
import sys

import headrace


def outcome(uri, collection, source, options):
    try:
        report = headrace.load(source, collection=collection, uri=uri, create=True, **options)
    except headrace.HeadraceError as error:
        return {"error": str(error)}
    return {"rows_stored": report.rows_stored}


def main(uri, loads):
    answer = {name: outcome(uri, name, source, options) for name, (source, options) in loads.items()}
    sys.stdout.write(json.dumps(answer))


main(**json.loads(sys.argv[1]))
