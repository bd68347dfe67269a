"""The async client. The sync client in `_sync` is generated from it: see `clients/python/make_sync.py`."""
