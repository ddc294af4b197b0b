"""Two gateways as on two machines: each with its own state and workers, one PostgreSQL and one Redis for both."""
