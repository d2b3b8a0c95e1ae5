"""Benchmarks of the detection job on a real broker and a real cluster, started for them and removed after them."""
