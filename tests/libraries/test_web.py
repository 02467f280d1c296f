"""Files on a web server, by the real fsspec."""

from __future__ import annotations

import pytest

from tests.fake_milvus import FakeMilvus
from tests.formats import WRITERS
from tests.loader.test_formats import check_stored
from tests.servers.libraries import run_with_datasets
from tests.servers.web import web_server

pytestmark = pytest.mark.long

ROWS = 400
#: Formats that are read in different ways: by ranges, from both ends, as a stream, packed, and beside each other.
NAMES = ("Feather of pandas", "npy", "npz", "JSON lines", "TSV of pandas", "HDF5", "fbin", "csr of big-ann")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What the files were written from, what came of each load, and the fake server that has the rows."""
    folder = tmp_path_factory.mktemp("web")
    written, loads = {}, {}
    with FakeMilvus() as fake, web_server(folder) as address:
        for number, name in enumerate(NAMES):
            (folder / f"{number}").mkdir()
            written[name] = WRITERS[name](folder / f"{number}", ROWS)
            far = {key: str(value).replace(str(folder), address) for key, value in written[name].options.items()}
            options = {**written[name].options, **{key: far[key] for key in ("ids", "metadata") if key in far}}
            loads[f"c{number}"] = (
                str(written[name].source).replace(str(folder), address),
                {**options, "verify": "full"},
            )
        loads["missing"] = (f"{address}/nothing.parquet", {})
        answer = run_with_datasets("loads.py", folder, uri=fake.uri, loads=loads)
        yield {"fake": fake, "written": written, "answer": answer, "address": address}


def test_every_value_of_every_format_arrives(loaded):
    for number, name in enumerate(NAMES):
        assert (name, loaded["answer"][f"c{number}"]) == (name, {"rows_stored": ROWS})
        check_stored(loaded["fake"], loaded["written"][name], f"c{number}")


def test_a_file_that_is_not_there_is_said_to_be_missing(loaded):
    assert loaded["answer"]["missing"]["error"] == (
        f"{loaded['address']}/nothing.parquet: expected a file, directory or glob with files, found no such file; "
        "check the path, and quote a glob in the shell"
    )
