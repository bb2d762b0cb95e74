"""Durable work outside the log."""
