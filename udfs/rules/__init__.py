"""Rules: what users say is wrong, as predicates over whole batches and small state machines behind them."""
