"""Values that cross a boundary: what is read from and written to Kafka, files and people.

Frozen structs, their codecs, and the JSON Schema and Avro generated from them (`published/`).
No behaviour beyond validation; nothing here knows Flink, Kafka or a clock.
"""
