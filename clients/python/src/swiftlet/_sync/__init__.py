# Made by make_sync.py from the async client. Change that one.
"""The sync client. The sync client in `_sync` is generated from it: see `clients/python/make_sync.py`."""
