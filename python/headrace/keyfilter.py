"""Keys as 64-bit codes, and a filter that remembers which codes it has seen in bounded memory.

The filter is a chain of Bloom filters with one 64-bit word per key ("register-blocked": Lang, Neumann, Kemper, Boncz,
"Performance-Optimal Filtering", VLDB 2019): a test costs one read of memory per key and filter, and everything is
done on whole columns. Four sizes follow each other, so that few keys need little memory; the last one takes any
number of keys and only answers "perhaps" more often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Codes", "KeyFilter", "Probe", "key_codes"]

Codes = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]

#: Sizes of the chained filters as powers of two of 8-byte words: 0.5, 2, 8 and 32 MiB.
_SIZES = (16, 18, 20, 22)
#: Keys per word until the next filter is begun: few, because a false "perhaps" costs a copy of its neighbours.
_KEYS_PER_WORD = 0.5
#: Words of a text that are hashed from its beginning, and from its end where it is longer.
_TEXT_WORDS = 8
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def key_codes(keys: pa.Array) -> Codes:
    """One int64 per key: the key itself where keys are integers, a hash where they are texts.

    Equal keys have equal codes; equal codes mean equal keys for integers only. Integers are not copied.

    Args:
        keys: Int64, utf8 or large_utf8, without nulls.
    """
    if pa.types.is_int64(keys.type):
        codes: Codes = keys.to_numpy(zero_copy_only=False)
        return codes
    return _text_codes(keys.cast(pa.large_utf8())).view(np.int64)


def _text_codes(keys: pa.Array) -> _Words:
    if not len(keys):
        return np.empty(0, np.uint64)
    _, offsets_buffer, data = keys.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[keys.offset : keys.offset + len(keys) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    used = np.zeros(last - first + 8, np.uint8)  # eight bytes more, so that every text begins a whole word
    if data is not None:
        used[:-8] = np.frombuffer(data, np.uint8)[first:last]
    words: _Words = np.ndarray((len(used) - 7,), np.dtype("<u8"), used, strides=(1,))
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    codes = lengths.astype(np.uint64) * _ODD
    longest = -(-int(lengths.max()) // 8)
    for word in range(min(longest, _TEXT_WORDS)):
        codes = _absorb(codes, words, starts + 8 * word, lengths - 8 * word)
    if longest > _TEXT_WORDS:
        tails = np.maximum(lengths - 8 * _TEXT_WORDS, 8 * _TEXT_WORDS)
        for word in range(_TEXT_WORDS):
            codes = _absorb(codes, words, starts + tails + 8 * word, lengths - tails - 8 * word)
    return codes


def _absorb(codes: _Words, words: _Words, places: Codes, left: Codes) -> _Words:
    """Mix one word of each text in; a text that has ended stays as it is, whatever stands in its batch."""
    there = left > 0
    found = words[np.where(there, places, 0)]
    shift = (8 * (8 - np.clip(left, 1, 8))).astype(np.uint64)
    mixed = (codes ^ (found << shift)) * _MIX_1
    return np.where(there, mixed ^ (mixed >> np.uint64(29)), codes)


@dataclass(frozen=True, slots=True)
class Probe:
    """Codes made ready to be looked up or added."""

    hashed: _Words
    bits: _Words

    def __len__(self) -> int:
        return len(self.hashed)

    def where(self, mask: npt.NDArray[np.bool_]) -> Probe:
        """Those of the mask."""
        return Probe(self.hashed[mask], self.bits[mask])

    def places(self, words: _Words) -> npt.NDArray[np.int64]:
        """The word of each in a filter."""
        # The upper bits choose the word, the lower ones its bits.
        return (self.hashed >> np.uint64(65 - len(words).bit_length())).astype(np.int64)


class KeyFilter:
    """Which codes were added: ``False`` is certain, ``True`` is "perhaps". At most 43 MB, allocated as it fills."""

    def __init__(self) -> None:
        self._filters: list[_Words] = []
        self._room = 0

    @staticmethod
    def probe(codes: Codes) -> Probe:
        """What :meth:`add` and :meth:`test` take."""
        hashed = _mixed(codes)
        return Probe(hashed, _bits(hashed))

    def add(self, probe: Probe) -> None:
        """Remember the codes of ``probe``."""
        if self._room < len(probe) and len(self._filters) < len(_SIZES):
            size = 1 << _SIZES[len(self._filters)]
            self._filters.append(np.zeros(size, np.uint64))
            self._room = int(size * _KEYS_PER_WORD)
        self._room -= len(probe)
        words = self._filters[-1]
        np.bitwise_or.at(words, probe.places(words), probe.bits)

    def test(self, probe: Probe) -> npt.NDArray[np.bool_]:
        """Which of the codes of ``probe`` may have been added."""
        seen = np.zeros(len(probe), np.bool_)
        for words in self._filters:
            seen |= (words[probe.places(words)] & probe.bits) == probe.bits
        return seen


def _mixed(codes: Codes) -> _Words:
    """The finalizer of splitmix64 (Steele, Lea, Flood, 2014): every bit of the code reaches every bit."""
    hashed = codes.view(np.uint64) + _ODD
    hashed = (hashed ^ (hashed >> np.uint64(30))) * _MIX_1
    hashed = (hashed ^ (hashed >> np.uint64(27))) * _MIX_2
    mixed: _Words = hashed ^ (hashed >> np.uint64(31))
    return mixed


def _bits(hashed: _Words) -> _Words:
    bits = np.zeros(len(hashed), np.uint64)
    for shift in (0, 6, 12, 18, 24, 30):
        bits |= np.uint64(1) << ((hashed >> np.uint64(shift)) & np.uint64(63))
    return bits
