"""The chassis' machinery: settings, Postgres, events, tasks, sagas, Redis, logs."""
