"""No unit test is judged by how long it takes on a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("swiftlet", deadline=None, print_blob=True)
settings.load_profile("swiftlet")
