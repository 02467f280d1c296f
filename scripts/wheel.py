"""Builds the wheel and the sdist into dist/, and tests the wheel with the oldest and the newest dependencies.

Usage: python scripts/wheel.py [--no-build]

The wheel is built from the sdist, which proves that the sdist is complete. Each set of dependencies has a virtual
environment of its own, made anew: ``oldest`` has the lower bounds of pyproject.toml, ``newest`` what pip chooses.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from dependencies import oldest, requirements

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
#: What the tests below import; no library that headrace itself needs is among them.
TEST_TOOLS = ["blockbuster", "hypothesis", "pytest", "pytest-timeout", "pytest-xdist"]
TEST_TOOLS += ["duckdb", "flask", "flask-cors", "h5py", "ml_dtypes", "moto[s3]", "pandas", "polars", "pyyaml", "scipy"]
#: Everything that needs neither an extra nor pymilvus.
TESTS = ["tests/smoke", "tests/unit", "tests/loader", "tests/cli", "tests/property/test_packing_roundtrip.py"]
LEFT_OUT = ["--ignore=tests/cli/test_embedded.py", "--ignore=tests/unit/test_templates.py"]
NEEDS_PYMILVUS = "not pymilvus and not official"
WORKERS = ["--numprocesses", "auto", "--maxprocesses", "4", "--dist", "worksteal"]


def run(*command: object, env: dict[str, str] | None = None) -> None:
    words = [str(word) for word in command]
    sys.stderr.write("+ " + " ".join(words) + "\n")
    subprocess.run(words, cwd=ROOT, env={**os.environ, **(env or {})}, check=True)


def build() -> None:
    """One wheel and one sdist into an empty dist/."""
    shutil.rmtree(DIST, ignore_errors=True)
    maturin = Path(sys.executable).with_name("maturin")
    # The sdist is unpacked elsewhere; the compiled dependencies of this tree serve there too.
    target = {"CARGO_TARGET_DIR": str(ROOT / "target")}
    run(maturin, "build", "--release", "--locked", "--quiet", "--sdist", "--out", DIST, env=target)


def check_contents() -> Path:
    """The wheel, after a look into both files.

    Raises:
        SystemExit: If something is missing, or there that should not be.
    """
    (wheel,) = DIST.glob("headrace-*-cp311-abi3-*.whl")
    (sdist,) = DIST.glob("headrace-*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"headrace/_core.abi3.so", "headrace/_core.pyi", "headrace/py.typed", "headrace/_proto/milvus_pb2.py"}
    strange = {name for name in packed if not name.startswith(("headrace/", "headrace-"))}
    if not wanted <= packed or strange or not any(name.endswith("/LICENSE") for name in packed):
        sys.exit(f"{wheel.name}: expected {sorted(wanted)}, a licence and only headrace/, found {sorted(packed)}")
    wanted = {"Cargo.toml", "Cargo.lock", "pyproject.toml", "README.md", "LICENSE", "rust/lib.rs"}
    strange = {name for name in source if name.startswith((".", "tests", "target"))}
    if not wanted <= source or strange:
        sys.exit(f"{sdist.name}: expected {sorted(wanted)} and no tests, found {sorted(source)}")
    return wheel


def test(wheel: Path, name: str, pins: list[str]) -> None:
    """Install the wheel into a new environment with ``pins`` and run the tests there."""
    venv = ROOT / ".cache" / f"wheel-{name}"
    run(sys.executable, "-m", "venv", "--clear", venv)
    python = venv / "bin" / "python"
    # Without the pins of the development environment: here the lower bounds, or pip, decide.
    free = {"PIP_CONSTRAINT": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run(python, "-m", "pip", "install", "--quiet", wheel, *pins, env=free)
    run(venv / "bin" / "headrace", "--version")
    run(python, "-c", f"import headrace; assert headrace.__file__.startswith({str(venv)!r}), headrace.__file__")
    run(python, "-m", "pip", "install", "--quiet", *pins, *TEST_TOOLS, env=free)
    run(python, "-m", "pip", "list", "--format", "freeze")
    chosen = ["-m", "not long", "-k", NEEDS_PYMILVUS, *LEFT_OUT, *TESTS]
    run(python, "-m", "pytest", "-p", "no:cacheprovider", *WORKERS, *chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the wheel and test it with the oldest and newest dependencies.")
    parser.add_argument("--no-build", action="store_true", help="test what is in dist/")
    if not parser.parse_args().no_build:
        build()
    wheel = check_contents()
    test(wheel, "oldest", [oldest(requirement) for requirement in requirements([])])
    test(wheel, "newest", [])


if __name__ == "__main__":
    main()
