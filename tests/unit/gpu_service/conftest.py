from __future__ import annotations

import pytest

from unit.gpu_service.service import Service, gpu


@pytest.fixture
async def one():
    """A service with one GPU."""
    return await Service(gpu()).open()


@pytest.fixture
async def four():
    """A service with four GPUs."""
    return await Service(*(gpu(n) for n in range(4))).open()
