"""Channels: one try to bring a notification to its receiver, and what came of it."""
