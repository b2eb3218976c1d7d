#!/bin/sh
# Builds the wheel, installs it into a fresh environment, and runs it from a folder that knows nothing of the source.
# usage: sh tests/chain/wheel.sh BIN     (BIN: the development environment's bin folder, with python and perhaps uv)
set -eu
bin=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$bin/python" -m build --wheel --outdir "$scratch/dist" "$source" >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log"; exit 1; }
"$bin/python" -m venv "$scratch/env"
if ! "$bin/uv" pip install -q --python "$scratch/env/bin/python" "$scratch"/dist/*.whl 2>/dev/null; then
    "$scratch/env/bin/python" -m pip install -q "$scratch"/dist/*.whl
fi

mkdir "$scratch/elsewhere"
cd "$scratch/elsewhere"
export SSL_AUG_CACHE="$scratch/cache"
run="$scratch/env/bin/python"
"$run" -c 'import ssl_aug, sys; assert "site-packages" in ssl_aug.__file__, ssl_aug.__file__'
"$run" -m ssl_aug.generate --help | grep -q -- --per-sample
"$scratch/env/bin/ssl-aug" --help | grep -q benchmark
"$scratch/env/bin/ssl-aug" generate --help | grep -q -- --per-sample
"$run" -m ssl_aug.generate experiment=smoke
"$run" -m benchmarks.run experiment=smoke method=fixmatch augment=true
"$scratch/env/bin/ssl-aug" table
"$scratch/env/bin/ssl-aug" report experiment=smoke
echo "the wheel works: $(ls "$scratch/dist")"
