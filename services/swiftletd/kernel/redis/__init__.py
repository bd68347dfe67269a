"""Redis as the services use it."""
