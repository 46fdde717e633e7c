#!/usr/bin/env bash
# Check Dockerfile and docker-compose.yml without a container engine: hadolint, the Compose schema, and docker-compose's
# own reading of the file where it is installed. Part of `make check`.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
export POSTGRES_PASSWORD=only-for-this-check

hadolint Dockerfile
echo "Dockerfile: hadolint finds nothing"

schema=$(check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml) || { echo "$schema"; exit 1; }
echo "docker-compose.yml: follows the Compose schema"

if command -v docker-compose >/dev/null; then
    compose=(docker-compose)
elif command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
else
    echo "docker-compose.yml: not read by docker-compose, which is not installed (Debian: apt-get install docker-compose)"
    exit 0
fi
for profiles in "" replay; do
    COMPOSE_PROFILES="$profiles" "${compose[@]}" --file docker-compose.yml config --quiet
done
echo "docker-compose.yml: ${compose[*]} accepts it, with and without the replay profile"
