"""Training: models for the detectors that need one, fitted on published summaries and put into force by Kafka."""
