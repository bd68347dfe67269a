"""What `benchmarks/api.py` is made of: the suite that is measured, and those who ask it."""
