"""Postgres: connections, the unit of work, reads, migrations."""
