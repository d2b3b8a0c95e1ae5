"""Failures a person can act on."""


class SentinelError(Exception):
    """A failure whose message is one clear sentence; the command line prints it without a stack trace and exits 1."""
