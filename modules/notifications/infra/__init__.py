"""Notifications on Postgres, its neighbours, its templates and the mail server."""
