"""Pure logic: same input, same output.

No Flink, Kafka, HTTP, database, clock, randomness or environment is imported below this package, so that every
line of it runs the same in the Flink job, in `sentinel backtest` and in a test.
"""
