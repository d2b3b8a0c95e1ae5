"""The demonstration: real traffic with planted faults through the real stack, and what was found of them."""
