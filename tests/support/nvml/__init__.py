"""The fake NVIDIA driver, built from C in the test run."""
