"""Published protocol buffers, and the Python code generated from them (docs/ingestion.md has the command)."""
