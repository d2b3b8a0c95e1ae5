"""Statistics that are learnt one observation at a time, as kernels over a few floats of state."""
