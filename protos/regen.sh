#!/bin/sh
# Generates the protobuf modules: protos/regen.sh [OUTDIR]
#
# OUTDIR (default: python/) receives headrace/_proto/*_pb2.py and *_pb2.pyi; give a scratch directory to compare with
# what is committed. grpcio-tools 1.62 is pinned: its output runs on protobuf 4.25 to 7, newer output does not run on
# older runtimes. It lives in a virtual environment of its own, because it needs protobuf < 5 and setuptools < 81.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-"$root/python"}
venv="$root/.cache/protos-venv"
python=${PYTHON:-python3}

if ! "$venv/bin/python" -c 'import grpc_tools, google.protobuf' 2>/dev/null; then
    "$python" -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check 'grpcio-tools==1.62.3' 'protobuf>=4.25,<5' 'setuptools<81'
fi

mkdir -p "$out"
cd "$root/protos"
# setuptools' deprecation notice for pkg_resources, which grpc_tools 1.62 imports, is not ours to fix.
PYTHONWARNINGS=ignore "$venv/bin/python" -m grpc_tools.protoc \
    --proto_path=. --python_out="$out" --pyi_out="$out" headrace/_proto/*.proto
