# The image of ingestion and alert dispatch: Python alone, no Java.
#   docker build --file k8s/services.Dockerfile --tag llm-sentinel-services:0.1.0 .

FROM debian:12-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3.11 python3.11-venv \
 && rm -rf /var/lib/apt/lists/*

# Only what these processes need, in the versions and with the hashes of the project's lock file.
WORKDIR /build/sentinel
COPY pyproject.toml requirements.lock README.md ./
RUN python3.11 -m venv /opt/sentinel/venv \
 && /opt/sentinel/venv/bin/pip install --quiet "$(sed -nE 's/^(uv==[^ ]+).*/\1/p' requirements.lock)" \
 && /opt/sentinel/venv/bin/uv pip compile pyproject.toml --extra ingestion --extra dispatch --extra cli \
      --python-version 3.11 --constraint requirements.lock --generate-hashes --no-emit-index-url --quiet \
      --output-file /build/image.lock \
 && /opt/sentinel/venv/bin/uv pip install --quiet --python /opt/sentinel/venv/bin/python \
      --require-hashes --compile-bytecode --requirement /build/image.lock
COPY schemas schemas
COPY udfs udfs
COPY operators operators
COPY jobs jobs
RUN /opt/sentinel/venv/bin/uv pip install --quiet --python /opt/sentinel/venv/bin/python --no-deps .

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3.11 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 9999 sentinel \
 && useradd --system --home-dir /var/lib/sentinel --uid 9999 --gid sentinel sentinel
COPY --from=build --chown=sentinel:sentinel /opt/sentinel /opt/sentinel
ENV PATH=/opt/sentinel/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    VIRTUAL_ENV=/opt/sentinel/venv
WORKDIR /var/lib/sentinel
USER sentinel
EXPOSE 4317 4318 9093
CMD ["sentinel", "--help"]
