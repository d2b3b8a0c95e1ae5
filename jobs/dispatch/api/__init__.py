"""The interface of dispatch over HTTP: Alertmanager's version 2, and what it lacks."""
