"""Backtest: the detectors and the correlation of the Flink job over files, in one Python process without a JVM."""
