"""The atomic operations on training jobs, one file each."""
