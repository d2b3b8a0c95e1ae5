"""Alert dispatch: anomalies, incidents and alerts of others become messages to people, each once."""
