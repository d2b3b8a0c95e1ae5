"""Receivers as `alertmanager.yml` writes them: upstream's keys and defaults, and the few of our own.

Source: Prometheus Alertmanager 0.25 to 0.34, `docs/configuration.md`. A key of our own is named as such beside it.
"""
