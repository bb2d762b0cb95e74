"""Persistence and execution of the sagas that shared/domain/saga.py declares."""
