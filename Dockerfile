# Two images from one file: `web` has no torch; `inference` adds it. Debian's Python 3.11 or later.
FROM python:3.11-slim-bookworm AS web
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 SLUICE_DATA=/data
WORKDIR /app
COPY requirements requirements
RUN pip install --require-hashes --no-deps -r requirements/run.txt
COPY manage.py pyproject.toml ./
COPY webapp webapp
COPY workers workers
COPY templates templates
RUN useradd --create-home --uid 10001 sluice && mkdir /data && chown sluice /data
USER sluice

FROM web AS inference
USER root
# the engine compiles its kernels for the machine it runs on, into the data folder
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN pip install -r requirements/torch.txt
COPY inference inference
USER sluice
