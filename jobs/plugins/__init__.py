"""Plug-ins: files with detectors of a user's own, read and put to the test."""
