"""Files that are damaged, are not what they seem, or are meant to do harm; each with what is said about it."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
ROWS = 400
IDS = np.arange(ROWS)
VECTORS = np.random.default_rng(1).standard_normal((ROWS, 8), dtype=np.float32)
TABLE = pa.table({"id": IDS, "vector": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 8)})
#: More than what readers look at, or unpack, at once.
MORE = np.random.default_rng(2).standard_normal((4000, 8), dtype=np.float32)


def lines_of(vectors):
    return [json.dumps({"id": number, "vector": vector}) for number, vector in enumerate(vectors.tolist())]


LINES = lines_of(VECTORS)


def parquet(**options):
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink, row_group_size=100, **{"compression": "none", "use_dictionary": False, **options})
    return sink.getvalue().to_pybytes()


def arrow(*, stream=False, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, TABLE.schema, options=options) as writer:
        writer.write_table(TABLE, max_chunksize=100)
    return sink.getvalue().to_pybytes()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npz(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def hdf5(**datasets):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return buffer.getvalue()


def chunked_hdf5(**datasets):
    """Each chunk with a checksum of its own."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in datasets.items():
            file.create_dataset(name, data=values, chunks=(100, *values.shape[1:]), fletcher32=True)
    return buffer.getvalue()


def header(text):
    line = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line


def lines(number, text):
    """The lines with another one at ``number``."""
    return "\n".join([*LINES[:number], text, *LINES[number + 1 :]]).encode()


def csv(number, text):
    rows = [f'{row},"{json.dumps(vector)}"' for row, vector in enumerate(VECTORS.tolist())]
    return "\n".join(["id,vector", *rows[:number], text, *rows[number + 1 :]]).encode()


def flipped(data, place):
    """Some bytes turned round, which lie so far from the start, or from the end."""
    place %= len(data)
    return data[:place] + bytes(255 - byte for byte in data[place : place + 64]) + data[place + 64 :]


def places(data, mark):
    """Where a mark stands."""
    return [found.start() for found in re.finditer(re.escape(mark), data)]


class Trap:
    """What unpickling would run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was loaded')",))


#: Name of the file, its bytes, and what its error says after the file's path.
FILES = {
    "empty": ("a.parquet", b"", "found an empty file"),
    "words": ("a.parquet", b"hello world, this is no table", "found text that starts with b'hello wo'"),
    "zeros": ("a.bin", bytes(5000), "found a file that starts with b'\\x00\\x00"),
    "parquet, magic alone": ("a.parquet", b"PAR1", "damage"),
    "parquet, cut": ("a.parquet", parquet()[:-100], "expected a whole Parquet file (PAR1 at its end)"),
    "parquet, footer length": ("a.parquet", parquet()[:-8] + b"\xff\xff\xff\x7fPAR1", ", footer: expected a readable"),
    "parquet, page": (
        "a.parquet",
        flipped(parquet(write_page_checksum=True), 3000),
        ", row group 0: expected a readable",
    ),
    "parquet, encrypted": ("a.parquet", b"PARE" + bytes(50), "a Parquet file with an encrypted footer"),
    "arrow, cut": ("a.arrow", arrow()[:-50], "expected a whole Arrow IPC file (ARROW1 at its end)"),
    "arrow, footer": (
        "a.arrow",
        arrow()[:-10] + b"\xff\xff\xff\x7fARROW1",
        ", footer: expected a readable Arrow IPC file",
    ),
    "arrow stream, cut": (
        "a.arrows",
        arrow(stream=True)[:-900],
        ", record batch 3: expected a readable Arrow IPC stream",
    ),
    "arrow, packed, in the middle": (
        "a.arrow",
        # The vectors of the third batch of four; the keys' frame stands before each.
        flipped(arrow(compression="zstd"), places(arrow(compression="zstd"), ZSTD_FRAME)[5]),
        ", record batch 2: expected a readable Arrow IPC file",
    ),
    "feather 1": ("a.feather", b"FEA1" + bytes(50) + b"FEA1", "a Feather v1 file; write it again as Feather v2"),
    "npy, objects": ("a.npy", npy(np.array([Trap()], dtype=object), allow_pickle=True), "headrace never does it"),
    "npy, cut": ("a.npy", npy(VECTORS)[:-1], "bytes, as its shape (400, 8) needs, found"),
    "npy, longer": ("a.npy", npy(VECTORS) + npy(VECTORS), "bytes, as its shape (400, 8) needs, found"),
    "npy, huge": (
        "a.npy",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}"),
        "bytes, as its shape (4611686018427387904, 4611686018427387904) needs",
    ),
    "npy, code": ("a.npy", header("__import__('os').abort()"), ", header: expected a numpy array, found damage"),
    "npy, no shape": ("a.npy", header("{}"), ", header: expected a numpy array, found damage"),
    "npy, complex": ("a.npy", npy(VECTORS.astype(np.complex64)), "found dtype complex64"),
    "npy, three dimensions": ("a.npy", npy(VECTORS.reshape(20, 20, 8)), "found shape (0, 20, 8)"),
    "npz, objects": ("a.npz", npz(v=np.array([Trap()], dtype=object)), "headrace never does it"),
    "npz, lengths": ("a.npz", npz(a=VECTORS, b=IDS[:3]), "found 400 in 'a' and 3 in 'b'"),
    "npz, packed, in the middle": (
        "a.npz",
        flipped(npz(np.savez_compressed, vector=MORE, id=np.arange(len(MORE))), 90_000),
        "expected readable arrays, found damage",
    ),
    "npz, cut": ("a.npz", npz(v=VECTORS)[:-40], ", directory: expected a readable npz archive"),
    "npz, sizes that lie": ("a.npz", archive(**{"v.npy": npy(VECTORS)[:500]}), "bytes, as its shape (400, 8) needs"),
    "torch": ("a.pt", archive(**{"m/data.pkl": pickle.dumps(Trap())}), "(pickled, as PyTorch does it: headrace never"),
    "pickle": ("a.pkl", pickle.dumps(Trap()), "a pickle; write it as npy or Parquet: headrace never unpickles"),
    "JSON lines, broken": (
        "a.jsonl",
        lines(200, '{"id": 1, "vec'),
        ", line 201: expected one JSON object, found damage",
    ),
    "JSON lines, a list": ("a.jsonl", lines(200, "[1, 2]"), ", line 201: expected one JSON object, found a JSON list"),
    "JSON lines, two keys": (
        "a.jsonl",
        lines(7, '{"id": 1, "id": 2}'),
        ", line 8: expected one JSON object, found damage",
    ),
    "JSON lines, deep": ("a.jsonl", lines(7, '{"a":' * 50_000), ", line 8: expected one JSON object, found damage"),
    "JSON lines, no UTF-8": (
        "a.jsonl",
        lines(7, "x").replace(b"\nx\n", b'\n{"id": "\xff"}\n'),
        ", line 8: expected one",
    ),
    "JSON, one list": (
        "a.json",
        json.dumps([1, 2]).encode(),
        "one JSON list for the whole file; write one object a line",
    ),
    "gzip, cut": ("a.jsonl.gz", gzip.compress("\n".join(LINES).encode())[:-300], "expected readable gzip data"),
    "zstd, cut": (
        "a.jsonl.zst",
        pa.compress("\n".join(lines_of(MORE)).encode(), "zstd", asbytes=True)[:-300],
        "expected readable zstd data",
    ),
    "gzip of something": ("a.gz", gzip.compress(parquet()), "gzip data; unpack it first"),
    "CSV, columns": (
        "a.csv",
        csv(300, "1,2,3"),
        ", line 302: expected a row of CSV, found damage (Expected 2 columns, got 3",
    ),
    "CSV, a word": ("a.csv", csv(300, 'x,"[1]"'), ", line 302: expected int64 in 'id', as in the rows before, found"),
    "CSV, UTF-16": ("a.csv", csv(0, "1,x").decode().encode("utf-16"), "expected text in UTF-8, found text in UTF-16"),
    "CSV, twice a name": ("a.csv", b"id,id\n1,2\n", "expected each column once, found 'id' more than once"),
    "HDF5, cut": ("a.h5", hdf5(v=VECTORS)[:-5000], "expected a readable HDF5 file, found damage"),
    "HDF5, a chunk": (
        "a.h5",
        flipped(chunked_hdf5(id=IDS, vector=VECTORS), -6000),
        "expected a readable HDF5 file, found damage",
    ),
    "HDF5, lengths": ("a.h5", hdf5(a=VECTORS, b=IDS[:3]), "found 'a' of shape (400, 8), 'b' of shape (3,)"),
    "fbin, cut": (
        "a.fbin",
        np.array([400, 8], np.uint32).tobytes() + bytes(100),
        "expected 12808 bytes, for 400 rows of 8",
    ),
    "csr, negative": (
        "a.csr",
        np.array([-1, 8, 8], np.int64).tobytes(),
        "expected a head of three counts, found -1, 8 and 8",
    ),
    "ORC": ("a.orc", b"ORC" + bytes(100), "an ORC file; write it as Parquet"),
}
