"""Log: what the operators have to say to whoever runs the job, through Python's logging to the log of the TaskManager.

PEMJA hands Python's log to Java's, under the name `file:line`.
"""

import logging


def log_from_info_on() -> None:
    """Leave out what is below INFO; PEMJA asks for everything, and numba alone tells thousands of lines of a kernel."""
    logging.getLogger().setLevel(logging.INFO)
