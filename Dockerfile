# One image for the API, the worker, the set-up and the admin commands.

FROM node:24-slim AS assets

WORKDIR /build/api/assets
COPY api/assets/package.json api/assets/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
# Beside the sources of scripts and styles: the pages and templates name the icons.
COPY api /build/api
RUN node build.js

FROM python:3.11-slim AS builder

WORKDIR /build
COPY requirements.txt .
# Wheels only: there is no compiler here, and what needs one should fail at once.
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --disable-pip-version-check --no-cache-dir \
        --require-hashes --only-binary :all: --requirement requirements.txt

WORKDIR /app
COPY activities activities
COPY api api
COPY domain domain
COPY migrations migrations
COPY observability observability
COPY services services
COPY sms sms
COPY storage storage
COPY workflows workflows
COPY alembic.ini manage.py settings.py worker.py ./
COPY --from=assets /build/api/static/build api/static/build
# What code this is, so that Temporal can tell its workers from those of another image.
RUN find . /build/requirements.txt -type f ! -name build.env -print0 | sort -z | xargs -0 sha256sum | sha256sum \
    | sed 's/^\(.\{12\}\).*/SEGUE_BUILD_ID=\1/' > build.env
# Readable whatever the umask of whoever checked it out; compiled, since nothing is written later.
RUN chmod -R a+rX . && python -m compileall -q .

FROM python:3.11-slim

RUN pip uninstall --yes --root-user-action ignore wheel setuptools pip \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin segue
COPY --from=builder /venv /venv
COPY --from=builder /app /app

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
