"""Payments on Postgres, and its providers."""
