"""Ray in an environment of its own, with this headrace in it.

The first use installs Ray under ``.cache/servers`` (some 30 seconds).
"""

from __future__ import annotations

from tests.servers.installing import install
from tests.servers.linking import run_linked, runtime

__all__ = ["run_ray"]

#: With its dashboard, which people run it with.
RAY = "ray[data,default]==2.60.0"
#: Seconds for a program.
PROGRAM_SECONDS = 240


def run_ray(program, folder, *arguments, secret=None, **values):
    """What a program writes that has Ray; see :func:`run_linked`. ``secret`` is in its ``MILVUS_TOKEN``."""
    home = install("ray-2.60.0", RAY, *runtime())
    environ = {"RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    if secret is not None:
        environ["MILVUS_TOKEN"] = secret
    done = run_linked(home, program, folder, *arguments, values=values, seconds=PROGRAM_SECONDS, environ=environ)
    return done.stdout + done.stderr
