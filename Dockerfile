# One image for all processes: `serve` (the default), `worker`, `db migrate`, `doctor`.
FROM python:3.11-slim-bookworm AS build
COPY requirements.lock /
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes --requirement /requirements.lock
WORKDIR /app
COPY entrypoints entrypoints
COPY migrations migrations
COPY modules modules
COPY shared shared
RUN /venv/bin/python -m compileall -q .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home tenon
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 TENON_HOST=0.0.0.0 TENON_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
ENTRYPOINT ["python", "-m", "entrypoints"]
CMD ["serve"]
