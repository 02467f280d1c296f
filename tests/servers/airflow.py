"""Apache Airflow in an environment of its own, with this headrace in it as a provider.

In a test::

    with Airflow({"milvus_default": "milvus://127.0.0.1:19530"}) as airflow:
        airflow.add("load.py", "from airflow.sdk import DAG ...")
        done = airflow.run("dags", "test", "load")

The first use installs Airflow under ``.cache/servers`` (some 30 seconds) as pip resolves its requirements, and then
what headrace needs beside it, under the versions that Airflow got.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers.installing import install
from tests.servers.linking import link, runtime
from tests.servers.process import clean_environment

__all__ = ["NEWEST", "OLDEST", "Airflow", "Ended"]

NEWEST = "3.3.2"
#: Of the releases that headrace is for.
OLDEST = "2.10.5"
#: What it does not work with any more, though its requirements allow it; its constraints pin an older one.
PINS = {OLDEST: ["universal-pathlib<0.3"]}
#: Seconds for one command of Airflow's.
COMMAND_SECONDS = 240


class Ended:
    """A command that ended: its status, and everything that it wrote."""

    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout
        self.text = done.stdout + done.stderr

    @property
    def document(self):
        return json.loads(self.out)


class Airflow:
    """A home of Airflow's with a database, DAGs and connections of its own.

    Args:
        connections: URIs (or JSON documents) by connection id.
        settings: Airflow's configuration: ``{"core.max_map_length": "8"}``.
        release: Which Airflow.
    """

    def __init__(self, connections=None, settings=None, *, release=NEWEST):
        self.release = release
        self._connections = dict(connections or {})
        self._settings = dict(settings or {})
        self.home = None

    def __enter__(self):
        self.home = Path(tempfile.mkdtemp(prefix="airflow-"))
        (self.home / "dags").mkdir()
        try:
            self.check("db", "migrate")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def environ(self):
        """What every process of this Airflow gets."""
        settings = {
            "core.dags_folder": self.home / "dags",
            "core.load_examples": "False",
            "core.unit_test_mode": "False",
            **self._settings,
        }
        return {
            **clean_environment(),
            **{f"AIRFLOW__{key.replace('.', '__').upper()}": str(value) for key, value in settings.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": value for name, value in self._connections.items()},
            "AIRFLOW_HOME": str(self.home),
            "HOME": str(self.home),
            "PATH": f"{self._venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "XDG_STATE_HOME": str(self.home / "state"),
        }

    def add(self, name, text):
        """Put a DAG's file into the folder of DAGs; returns its path."""
        path = self.home / "dags" / name
        path.write_text(text)
        return path

    def run(self, *arguments, environ=None):
        """Run ``airflow`` with these arguments to its end."""
        return self.python("-m", "airflow", *arguments, environ=environ)

    def check(self, *arguments, environ=None):
        """The same; raises with what it wrote where it fails."""
        done = self.run(*arguments, environ=environ)
        if done.status:
            raise RuntimeError(f"airflow {' '.join(map(str, arguments))} ended with {done.status}:\n{done.text}")
        return done

    def python(self, *arguments, environ=None):
        """Run the environment's interpreter to its end."""
        command = [str(self._venv / "bin" / "python"), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.home,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Ended(done)

    def start(self, *arguments, log):
        """Start ``airflow`` with these arguments as a group of processes of its own."""
        with log.open("w") as stream:
            return subprocess.Popen(
                [str(self._venv / "bin" / "python"), "-m", "airflow", *arguments],
                cwd=self.home,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def _venv(self):
        """The environment, with this working copy as an installed package in it."""
        needed = [*runtime(), "pytest>=8"]
        wanted = [f"apache-airflow=={self.release}", *PINS.get(self.release, ())]
        home = install(f"airflow-{self.release}", *wanted, beside=needed)
        link(home)
        return home / "venv"

    @property
    def constraints(self):
        """The versions that Airflow got when it was installed alone, ``name==version`` each."""
        return (self._venv.parent / "constraints.txt").read_text().splitlines()
