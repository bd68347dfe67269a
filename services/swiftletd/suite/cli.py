"""What a person can type after `swiftletd`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from swiftletd.suite import commands

SERVICES = {
    "gpu": "run the GPU service: inventory, leases, the queue",
    "training": "run the training service",
    "deploy": "run the deploy service",
}
EPILOG = """\
Settings come from the environment and from env/.env.<ENVIRONMENT>: SWIFTLET_HOME (~/.swiftlet),
APP_HOST (127.0.0.1), APP_PORT (8000), REDIS_URL, LOG_LEVEL and more: docs/operations.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    args, rest = _parser().parse_known_args(argv)
    if rest and args.run is not _simulate:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    args.rest = rest
    try:
        code: int = args.run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _silently()
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swiftletd",
        description="Fine-tune and serve language models on the GPUs that a team owns.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_suite(subparsers)
    _add_state(subparsers)
    for name, what in SERVICES.items():
        subparsers.add_parser(name, help=what, description=what).set_defaults(run=_service, service=name)
    simulate = subparsers.add_parser(
        "simulate", help="rehearse the scheduler over a trace of jobs", add_help=False
    )
    simulate.set_defaults(run=_simulate)
    version = subparsers.add_parser("version", help="print the version")
    version.set_defaults(run=lambda _: commands.version())
    return parser


def _add_suite(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = subparsers.add_parser("up", help="start Redis, the services and the gateway, and keep them running")
    up.add_argument(
        "-d", "--detach", action="store_true", help="return when all is healthy; stop it with `down`"
    )
    up.add_argument("-v", "--verbose", action="store_true", help="show the log lines of all processes")
    up.set_defaults(run=lambda args: commands.up(detach=args.detach, verbose=args.verbose))
    down = subparsers.add_parser("down", help="stop what `up` started; running jobs go on")
    down.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="how long to wait (60)"
    )
    down.set_defaults(run=lambda args: commands.down(args.timeout))
    status = subparsers.add_parser(
        "status",
        help="show what runs where",
        epilog="Exit code 0: all is well. 1: something does not answer. 3: stopped.",
    )
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=lambda args: commands.status(as_json=args.json))
    logs = subparsers.add_parser("logs", help="show the log files")
    logs.add_argument("name", nargs="?", help="of one process only, as `status` shows it")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    logs.add_argument("-n", "--lines", type=_count, default=20, help="how many old lines of each (20)")
    logs.set_defaults(run=lambda args: commands.logs(args.name, args.lines, follow=args.follow))


def _add_state(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backup = subparsers.add_parser("backup", help="save the whole state in one file; the suite may run")
    backup.add_argument("file", type=Path)
    backup.add_argument(
        "--runs", action="store_true", help="the directories of the runs too: logs, progress, exits"
    )
    backup.set_defaults(run=lambda args: commands.backup(args.file, with_runs=args.runs))
    restore = subparsers.add_parser("restore", help="replace the whole state; the suite must be down")
    restore.add_argument("file", type=Path)
    restore.set_defaults(run=lambda args: commands.restore(args.file))


def _service(args: argparse.Namespace) -> int:
    code: int | None = importlib.import_module(f"swiftletd.{args.service}.main").main()
    return code or 0


def _simulate(args: argparse.Namespace) -> int:
    code: int | None = importlib.import_module("swiftletd.gpu.simulate.cli").main(args.rest)
    return code or 0


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _silently() -> int:
    """The reader of our output has gone; don't let the interpreter complain about it at its end."""
    sys.stderr.close()
    return 141
