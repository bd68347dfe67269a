# syntax=docker/dockerfile:1
# Two images: `services` for the gpu service and the gateway, `trainer` (with ms-swift and torch) for the services
# whose runners start ms-swift.
FROM python:3.11-slim-bookworm AS services

# PYTHONSAFEPATH: a redis.py in the work directory must not be imported instead of the library.
ENV PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/swiftlet
COPY requirements-services.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv .venv \
 && .venv/bin/pip install -q --no-deps --require-hashes -r requirements-services.txt
COPY . .
RUN .venv/bin/pip install -q --no-deps --no-build-isolation -e clients/python -e .

# The volume takes over the owner of this directory.
RUN useradd --create-home --uid 1000 swiftlet \
 && install -d -o swiftlet -g swiftlet /var/lib/swiftlet /var/lib/swiftlet/work
ENV PATH=/opt/swiftlet/.venv/bin:$PATH \
    SWIFTLET_HOME=/var/lib/swiftlet \
    WORK_DIR=/var/lib/swiftlet/work
USER swiftlet
WORKDIR /var/lib/swiftlet/work
ENTRYPOINT ["/opt/swiftlet/tools/keep-up"]

FROM services AS trainer

USER root
WORKDIR /opt/trainer
COPY requirements-trainer.txt requirements-trainer.in ./
# What serves models faster than transformers does, for example: --build-arg TRAINER_EXTRAS=vllm
ARG TRAINER_EXTRAS=""
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv . \
 && bin/pip install -q --no-deps --require-hashes -r requirements-trainer.txt \
 && bin/pip install -q "$(grep '^torch==' requirements-trainer.in)" ${TRAINER_EXTRAS}
ENV TRAINER_PYTHON=/opt/trainer/bin/python \
    HF_HOME=/var/lib/swiftlet/cache/huggingface \
    MODELSCOPE_CACHE=/var/lib/swiftlet/cache/modelscope
USER swiftlet
WORKDIR /var/lib/swiftlet/work
