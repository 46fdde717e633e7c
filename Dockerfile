# One image for every service of docker-compose.yml; each service gives its own command.
# Nothing is fetched without a hash, nothing runs as root, and no secret is in it.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt \
    && python -m venv /opt/venv \
    && /opt/venv/bin/pip install --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md dagster.yaml workspace.yaml ./
COPY api_service api_service
COPY config config
COPY market_platform market_platform
COPY sql sql
COPY streamer streamer
# an editable wheel: code, migrations and configuration stay together in /app
RUN /opt/build/bin/hatchling build --target wheel:editable --directory /tmp/wheel \
    && /opt/venv/bin/pip install --no-deps --no-index /tmp/wheel/*.whl \
    && /opt/venv/bin/python -m compileall -q /app

FROM python:${PYTHON_VERSION}-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MARKET_DATA_DIR=/var/lib/market \
    DAGSTER_HOME=/var/lib/market/dagster \
    ENVIRONMENT=production \
    LOG_FORMAT=json
RUN groupadd --gid 10001 market \
    && useradd --uid 10001 --gid market --home-dir /var/lib/market --no-create-home --shell /usr/sbin/nologin market \
    && install --directory --owner market --group market /var/lib/market /var/lib/market/dagster \
    && ln --symbolic /app/dagster.yaml /var/lib/market/dagster/dagster.yaml
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
VOLUME /var/lib/market
CMD ["market-platform", "--help"]
