"""Real LLM traffic, replayed: public traces give arrivals and tokens; faults are planted, with a written truth."""
