"""What a collection holds, counted and read back by pymilvus, against what it should hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace import Endpoint
from headrace import operations as ops
from headrace.calls import drive_sync
from headrace.transport import SyncTransport
from tests.integration.readback import connect, count

__all__ = ["Proof", "prove"]

#: Rows of one page.
_PAGE = 500


@dataclass(frozen=True)
class Proof:
    """The difference.

    Attributes:
        stored: ``count(*)``, strongly consistent: rows that stand twice count twice.
        missing: Keys that are not there.
        doubled: Rows beyond one of each key.
        wrong: Keys with another content, byte for byte.
    """

    stored: int
    missing: int
    doubled: int
    wrong: int

    @property
    def holds(self):
        """Whether every row is there once, as it was."""
        return not (self.missing or self.doubled or self.wrong)


def prove(server, collection, expected):
    """Compare a collection with ``expected``: key to ``(number, bytes of the vector)``."""
    with SyncTransport(Endpoint(uri=server.uri)) as transport:
        # A server that was just restarted needs a while.
        drive_sync(transport, ops.patiently(lambda: ops.load_collection(collection), budget=120.0))
    found, wrong, keys = 0, 0, list(expected)
    with connect(server) as client:
        stored = count(client, collection)
        for start in range(0, len(keys), _PAGE):
            page = keys[start : start + _PAGE]
            rows = client.query(collection, ids=page, output_fields=["*"], consistency_level="Strong")
            found += len(rows)
            wrong += sum(_content(row) != expected[row["id"]] for row in rows)
    return Proof(stored, len(expected) - found, stored - found, wrong)


def _content(row):
    return row["number"], np.asarray(row["vector"], np.float32).tobytes()
