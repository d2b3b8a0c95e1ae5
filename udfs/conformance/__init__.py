"""Conformance: what every detector promises, built-in or a user's own, as laws that can be put to the test."""
