"""Second version of sagas: those that ended long ago may be removed. They are found by their ids, which are in the order of time."""

from typing import Final

UP: Final = """
grant delete on saga, saga_step to {role};
"""

DOWN: Final = """
revoke delete on saga, saga_step from {role};
"""
