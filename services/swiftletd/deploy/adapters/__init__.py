"""The deploy service's outside world."""
