#!/usr/bin/env bash
# Regenerates linkage/v1 from protos/, or with --check says whether it is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$python" -m grpc_tools.protoc -I protos \
  --plugin="protoc-gen-mypy=$(dirname "$python")/protoc-gen-mypy" \
  --plugin="protoc-gen-mypy_grpc=$(dirname "$python")/protoc-gen-mypy_grpc" \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
  protos/linkage/v1/*.proto
printf '"""Generated from protos/linkage/v1 by `make proto`; do not edit."""\n' > "$out/linkage/v1/__init__.py"
if [ "${1:-}" = --check ]; then
  diff -r --exclude=__pycache__ "$out/linkage/v1" linkage/v1 || {
    echo "linkage/v1 differs from protos/: run 'make proto'" >&2
    exit 1
  }
else
  mkdir -p linkage/v1
  rm -f linkage/v1/*.py linkage/v1/*.pyi
  cp "$out"/linkage/v1/* linkage/v1/
fi
