"""Feedback: verdicts on anomalies, given, kept and weighed."""
