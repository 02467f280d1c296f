"""Ray in an environment of its own, with this headrace in it.

The first use installs Ray under ``.cache/servers`` (some 30 seconds).
"""

from __future__ import annotations

import json
import os
import subprocess

from tests.servers.installing import install
from tests.servers.linking import ROOT, link, runtime
from tests.servers.process import clean_environment

__all__ = ["run_ray"]

#: With its dashboard, which people run it with.
RAY = "ray[data,default]==2.60.0"
#: Seconds for a program.
PROGRAM_SECONDS = 240


def run_ray(program, folder, *arguments, secret=None, **values):
    """Run a program with Ray's interpreter, in ``folder``.

    Its arguments are ``arguments``, and after them ``values`` as a JSON document where there are any; ``secret`` is in
    its ``MILVUS_TOKEN``.

    Raises:
        RuntimeError: With what it wrote, if it fails.
    """
    home = install("ray-2.60.0", RAY, *runtime())
    link(home)
    environ = {
        **clean_environment(),
        "HOME": str(folder),
        "PATH": f"{home / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "XDG_STATE_HOME": str(folder / "state"),
        **({} if secret is None else {"MILVUS_TOKEN": secret}),
    }
    done = subprocess.run(
        [str(home / "venv" / "bin" / "python"), str(program), *arguments, *([json.dumps(values)] if values else [])],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout[-6000:]}{done.stderr[-12000:]}")
    return done.stdout + done.stderr
