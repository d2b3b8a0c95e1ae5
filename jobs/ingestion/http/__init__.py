"""HTTP: OTLP/HTTP, the JSON interface, and the pages for operators, as one ASGI application."""
