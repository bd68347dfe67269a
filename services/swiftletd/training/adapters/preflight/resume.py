"""Can a training go on from a checkpoint?"""

from __future__ import annotations

from pathlib import Path

from swiftletd.training.adapters.checkpoints import has_optimizer
from swiftletd.training.adapters.preflight.files import Unreadable


def check_checkpoint(path: Path, *, only_model: bool) -> None:
    """Raises Unreadable unless the directory holds what is needed to go on; `only_model`: the weights do."""
    if not path.is_dir():
        raise Unreadable("is not there, or is no directory", path)
    if not (path / "trainer_state.json").exists():
        raise Unreadable("holds no trainer_state.json, so it is not a checkpoint", path)
    if only_model or has_optimizer(path):
        return
    raise Unreadable(
        "holds no optimizer state (it was saved with save_only_model), so its schedule would start over; "
        'to go on with the weights alone, set extra_args to {"resume_only_model": "true"}',
        path,
    )
