"""The Python SDK of Swiftlet."""
