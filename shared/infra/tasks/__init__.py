"""Durable work outside the log: jobs, outbound sends, retries, timers."""
