"""The catalog in Postgres: repositories for its administration, SQL for its readers."""
