"""The suite: Redis, the three services and the gateway under one small supervisor."""
