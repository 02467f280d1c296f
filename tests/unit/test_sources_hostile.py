"""Damaged and hostile files: an error with the file, the place and what to do, never a crash and never code run."""

from __future__ import annotations

import pytest

from headrace.errors import InputError
from headrace.sources import open_source
from tests.hostile import FILES


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_refused_with_its_place_and_a_remedy(tmp_path, monkeypatch, name):
    monkeypatch.setattr("headrace.sources.text._BLOCK_BYTES", 4000)
    file, data, text = FILES[name]
    path = tmp_path / file
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        for part in open_source(path).parts():
            for _ in part.batches(max_bytes=1 << 20):
                pass
    message = str(caught.value)
    assert message.startswith(str(path))
    assert text in message
    assert ": expected " in message
    assert ", found " in message
    assert "; " in message, "what to do"
    assert caught.value.source == str(path)
