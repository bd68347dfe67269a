"""The outside world of the gpu service: devices, processes, Redis."""
