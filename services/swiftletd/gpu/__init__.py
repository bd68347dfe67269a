"""The GPU service: the inventory, the leases and the one queue."""
