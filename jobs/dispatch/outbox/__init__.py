"""The outbox: all that dispatch must not forget, in SQLite or PostgreSQL."""
