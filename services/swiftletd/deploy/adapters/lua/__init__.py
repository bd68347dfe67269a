"""The atomic operations on deployments, one file each."""
