"""Plots: series with their expected band and anomalies, as pictures."""
