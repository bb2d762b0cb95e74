"""Answers kept in Redis for a while, for what is expensive to compute; without Redis they are computed each time."""
