"""Root cause: metrics and call graphs of other systems, read from files."""
