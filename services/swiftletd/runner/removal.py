"""Removing the log of an ended run, so that whoever reads it is told what has become of it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from swiftletd.runner.files import write_text
from swiftletd.runner.log import SWIFTLET, LogWriter

MARK = "removed"


def replace_log(run: Path, sentence: str) -> None:
    """Put one line of Swiftlet in the place of the whole log.

    The new log is complete before it takes its place, and marked: wherever this is cut off, it can be done
    again, and what was replaced once stays as it is.
    """
    log, new, old = run / "log", run / "log.new", run / "log.old"
    if not run.is_dir():
        return
    if not (log / MARK).exists():
        try:
            _prepare(new, sentence)
        except OSError:  # the disk is full: the old log has to make room for the line
            shutil.rmtree(log, ignore_errors=True)
            _prepare(new, sentence)
        if log.exists():
            shutil.rmtree(old, ignore_errors=True)
            log.rename(old)
        new.rename(log)
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _prepare(new: Path, sentence: str) -> None:
    if (new / MARK).exists():  # cut off between the two renames: the old log is away already
        return
    shutil.rmtree(new, ignore_errors=True)
    writer = LogWriter(new)
    writer.write(SWIFTLET, [sentence])
    stuck = writer.stuck
    writer.close()
    if stuck:
        raise OSError(errno.ENOSPC, "no room for a line")
    write_text(new / MARK, sentence, sync=True)
