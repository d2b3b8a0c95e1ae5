"""Foreign telemetry, and our own as it comes in, turned into checked and enriched events of our envelope."""
