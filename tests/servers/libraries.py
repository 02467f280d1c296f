"""Libraries whose objects people load, each in an environment of its own, with this headrace in it.

The first use installs them under ``.cache/servers`` (some 15 seconds each, 150 MB).
"""

from __future__ import annotations

import json

from tests.servers.debian import INTERPRETER, library_path, unpack
from tests.servers.installing import install
from tests.servers.linking import ROOT, run_linked, runtime

__all__ = ["run_with_datasets", "run_with_torch"]

DATASETS = ("datasets==5.2.0", "fsspec[http]")
#: Seconds for a program.
PROGRAM_SECONDS = 120


def run_with_datasets(program, folder, **values):
    """What a program answers that has Hugging Face's datasets and fsspec, run in ``folder``; see :func:`_run`."""
    home = install("datasets-5.2.0", *DATASETS, "h5py", *runtime())
    return _run(home, program, folder, values)


def run_with_torch(program, folder, **values):
    """What a program answers that has PyTorch, run in ``folder``; see :func:`_run`.

    It is Debian's, for the CPU: the package index has it with gigabytes of CUDA only. It is compiled for numpy 1, which
    the newest pyarrow does not take.
    """
    home = install(
        "torch",
        "numpy<2",
        "pyarrow<24",
        *runtime(),
        finish=lambda directory: unpack("python3-torch", directory),
        interpreter=INTERPRETER,
    )
    return _run(home, program, folder, values, LD_LIBRARY_PATH=library_path(home))


def _run(home, program, folder, values, **environ):
    """The answer, JSON on its output, of a program of ``tests/libraries/inside``; see :func:`run_linked`."""
    program = ROOT / "tests" / "libraries" / "inside" / program
    done = run_linked(home, program, folder, values=values, seconds=PROGRAM_SECONDS, environ=environ)
    return json.loads(done.stdout)
