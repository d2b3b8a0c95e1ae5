"""Who calls: API keys, JSON Web Tokens and client certificates, each of which names a tenant."""
