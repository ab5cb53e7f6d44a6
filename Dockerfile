# Two stages: wheels are built where there are build tools, and installed
# from those wheels alone.
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY data data
COPY generated generated
COPY clients clients
COPY inventory_server inventory_server
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[embedded-dynamo]'

FROM python:3.11-slim
# Embedded mode runs this redis-server on a private socket; with
# INVENTORY_REDIS_URL it is not used.
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'inventory-service[embedded-dynamo]'
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin inventory \
    && install --directory --owner inventory --group inventory --mode 0700 /data
USER 10001:10001
ENV INVENTORY_HOST=0.0.0.0 \
    INVENTORY_DATA_DIR=/data \
    INVENTORY_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8061
STOPSIGNAL SIGTERM
# It asks the port that INVENTORY_PORT says, on this machine.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["inventory-server", "healthcheck"]
CMD ["inventory-server"]
