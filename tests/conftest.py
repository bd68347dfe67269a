"""Fixtures and settings that tests of all parts share."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run: a property that fails must fail for the one who changed the code. No example
# is judged by its time on a busy machine. HYPOTHESIS_PROFILE=explore looks for new examples.
settings.register_profile("same", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

pytest_plugins = ["support.redis"]
