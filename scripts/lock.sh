#!/usr/bin/env bash
# Pin every dependency with its hashes, for every platform and Python the project supports.
# Needs uv. Usage: scripts/lock.sh [--upgrade]; without --upgrade, pins that still fit pyproject.toml stay.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # <output> <uv arguments…>
    local output=$1
    shift
    uv pip compile "$@" --output-file "$output" --quiet --no-config --generate-hashes --universal \
        --python-version 3.11 --fork-strategy fewest --no-emit-index-url --no-emit-find-links --no-strip-extras \
        --custom-compile-command "scripts/lock.sh"
    echo "$output: $(grep -c '^[a-z0-9].*==' "$output") packages"
}

# the largest first, and the others begin as copies of it: a package has one version everywhere (a test holds this)
compile requirements/bench.txt pyproject.toml --extra dev --extra bench "$@"
cp requirements/bench.txt requirements/dev.txt
compile requirements/dev.txt pyproject.toml --extra dev
cp requirements/bench.txt requirements/runtime.txt
compile requirements/runtime.txt pyproject.toml
cp requirements/bench.txt requirements/build.txt
compile requirements/build.txt requirements/build.in
