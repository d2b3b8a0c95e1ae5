"""Flink adapters: they decode, batch, hand over and emit. No statistics and no thresholds live here."""
