"""Calls that leave the process: bounded in time, number and size, repeated sparingly, and stopped while they are in vain."""
