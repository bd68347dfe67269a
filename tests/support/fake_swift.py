#!/usr/bin/env python3
"""A double of ms-swift's command line: it behaves like the real one and learns nothing.

For what a real training is too slow or too well-behaved for: crashes, hangs, floods, ranks in sessions of
their own. It prints the dict lines of ms-swift on stdout, progress displays on stderr, adds the rows of 4.6
or 3.5 to logging.jsonl, saves checkpoints, and ends with the rows that the real one ends with. Needs only
the standard library, so it starts fast.

    fake_swift.py sft --output_dir DIR --max_steps 20 --save_steps 10
    fake_swift.py -m swift.cli.export --adapters DIR/checkpoint-20 --output_dir MERGED
    fake_swift.py -m swift.cli.deploy --model MODEL --served_model_name NAME --port 8001

Flags of the real one that it does not know are ignored. How it misbehaves is told by a JSON object in the
environment variable FAKE_SWIFT, or in a file fake_swift.json in the directory that --model names:

    step_seconds      how long a step takes (0.05)
    version           "4.6" or "3.5": the flavour of the rows
    load_seconds      how long it imports before the first step
    crash_at          exit with 1 and a traceback before this step
    memory_rows       run out of memory where more rows are trained at a time
    kill_at           die of SIGKILL before this step, as the OOM killer does it
    hang_at           print nothing more and never end, from this step on
    exit_code         leave with this code although all went well
    without_final_row leave out the train_runtime row
    ignore_sigterm    go on when asked to end
    orphans           start so many processes in sessions of their own, which outlive it
    orphans_hide      they also give up their parent and their environment
    orphans_ignore_sigterm
    ranks             start so many workers as torchrun does, and wait for them
    print_lines       print so many lines at the start
    line_bytes        how long each is (80)
    nan_at            the loss is NaN from this step on
    crash_after       a model server ends with a traceback so many seconds after it began to serve
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

SLEEPER = "import signal, time; {prepare}time.sleep(600)"
IGNORE = "signal.signal(signal.SIGTERM, signal.SIG_IGN); "


class Options:
    """What FAKE_SWIFT and fake_swift.json say; an option that neither names is 0, False or empty."""

    def __init__(self, model: str) -> None:
        beside = Path(model) / "fake_swift.json"
        told = json.loads(beside.read_text()) if model and beside.exists() else {}
        self._told = {**told, **json.loads(os.environ.get("FAKE_SWIFT", "{}"))}

    def __call__(self, name: str, default=0):
        return self._told.get(name, default)


class Training:
    """A training of max_steps steps, each of which takes step_seconds."""

    def __init__(self, arguments: argparse.Namespace, options: Options) -> None:
        self._arguments = arguments
        self._options = options
        self._out = Path(arguments.output_dir)
        self._out.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        self._log = (self._out / "logging.jsonl").open("a")
        self._history: list[dict] = []
        self._asked = False
        self._checkpoint: Path | None = None

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._terminated)
        total, first = self._arguments.max_steps, self._resumed_step()
        self._say(f"[INFO:swift] output_dir: {self._out}")
        time.sleep(self._options("load_seconds"))
        for step in range(first + 1, total + 1):
            self._misbehave(step)
            time.sleep(self._options("step_seconds", 0.05))
            self._bar(step, total)
            self._after(step, total)
            if self._asked:
                self._save(step)
                return self._finish(step, total)
        return self._finish(total, total)

    def _terminated(self, number: int, frame: object) -> None:
        """As ms-swift: dies at once, or with --enable_jit_checkpoint saves after this step, leaves with 0."""
        if self._arguments.enable_jit_checkpoint == "true":
            self._asked = True
        elif not self._options("ignore_sigterm"):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _after(self, step: int, total: int) -> None:
        arguments = self._arguments
        if step % arguments.logging_steps == 0 or step in {1, total}:
            loss = float("nan") if 0 < self._options("nan_at") <= step else round(6.0 * 0.97**step, 8)
            self._row({"loss": loss, "grad_norm": 1.5, "learning_rate": 1e-4}, step, total)
        if arguments.eval_steps and step % arguments.eval_steps == 0:
            self._row({"eval_loss": round(6.1 * 0.97**step, 8), "eval_runtime": 0.2}, step, total)
        if step % arguments.save_steps == 0 or step == total:
            self._save(step)

    def _misbehave(self, step: int) -> None:
        too_large = 0 < self._options("memory_rows") < self._arguments.per_device_train_batch_size
        if too_large or step == self._options("crash_at"):
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"
            )
        if step == self._options("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if step == self._options("hang_at"):
            time.sleep(3600)

    def _row(self, values: dict, step: int, total: int) -> None:
        row = {**values, **self._position(step, total)}
        self._history.append(row)
        self._log.write(json.dumps(row) + "\n")
        self._log.flush()
        shown = (
            row if self._options("version") == "3.5" else {name: str(value) for name, value in row.items()}
        )
        print(shown, flush=True)

    def _position(self, step: int, total: int) -> dict:
        elapsed = time.monotonic() - self._began
        per_step = elapsed / step
        where = {"epoch": step / total, "global_step/max_steps": f"{step}/{total}"}
        times = {"elapsed_time": duration(elapsed), "remaining_time": duration(per_step * (total - step))}
        if self._options("version") == "3.5":
            speed = {"memory(GiB)": 1.25, "train_speed(iter/s)": round(1 / per_step, 6)}
            return {**speed, **where, "percentage": f"{100 * step / total:.2f}%", **times}
        return {**where, **times, "train_speed(s/it)": round(per_step, 6)}

    def _bar(self, step: int, total: int) -> None:
        filled = "█" * (10 * step // total)
        end = "\n" if step == total else ""
        sys.stderr.write(
            f"\rTrain: {100 * step // total:3d}%|{filled:10}| {step}/{total} [00:01<00:01,  3.1it/s]{end}"
        )
        sys.stderr.flush()

    def _save(self, step: int) -> None:
        checkpoint = self._out / f"checkpoint-{step}"
        if checkpoint == self._checkpoint:
            return
        checkpoint.mkdir(exist_ok=True)
        header = json.dumps({"w": {"dtype": "U8", "shape": [1000], "data_offsets": [0, 1000]}}).encode()
        weights = len(header).to_bytes(8, "little") + header + bytes(1000)
        (checkpoint / "adapter_model.safetensors").write_bytes(weights)
        (checkpoint / "args.json").write_text("{}")
        if self._arguments.save_only_model != "true":
            with zipfile.ZipFile(checkpoint / "optimizer.pt", "w") as archive:
                archive.writestr("data", "moments")
        (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        self._checkpoint = checkpoint
        self._say(f"[INFO:swift] Saving model checkpoint to {checkpoint}")

    def _finish(self, step: int, total: int) -> int:
        if not self._options("without_final_row"):
            losses = [row["loss"] for row in self._history if "loss" in row]
            mean = sum(losses) / max(1, len(losses))
            runtime = round(time.monotonic() - self._began, 4)
            self._row({"train_runtime": runtime, "train_loss": round(mean, 8)}, step, total)
        self.summary()
        self._say("[INFO:swift] End time of running main: 2026-11-23 06:56:28.015328")
        return self._options("exit_code")

    def summary(self) -> None:
        """The last row, which the real one also writes after a crash."""
        last = str(self._checkpoint) if self._checkpoint else None
        row = {"last_model_checkpoint": last, "best_model_checkpoint": None, "best_metric": None}
        self._log.write(
            json.dumps({**row, "global_step": 0, "log_history": self._history, "memory": 0}) + "\n"
        )
        self._log.flush()

    def _resumed_step(self) -> int:
        checkpoint = self._arguments.resume_from_checkpoint
        if not checkpoint:
            return 0
        return json.loads((Path(checkpoint) / "trainer_state.json").read_text())["global_step"]

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`1h 2m 3s`, as ms-swift writes it."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m {rest}s" if hours else f"{minutes}m {rest}s" if minutes else f"{rest}s"


def train(arguments: argparse.Namespace, options: Options) -> int:
    if ranks := options("ranks"):
        return run_ranks(ranks)
    start_orphans(options)
    for number in range(options("print_lines")):
        print(f"{number:08d} ".ljust(options("line_bytes", 80), "x"))
    training = Training(arguments, options)
    try:
        return training.run()
    except RuntimeError:
        training.summary()
        raise


def run_ranks(count: int) -> int:
    """As torchrun: every rank in a session of its own, told by LOCAL_RANK which one it is."""
    told = {**json.loads(os.environ.get("FAKE_SWIFT", "{}")), "ranks": 0}
    ranks = [
        subprocess.Popen(
            [sys.executable, *sys.argv],
            env={**os.environ, "LOCAL_RANK": str(rank), "FAKE_SWIFT": json.dumps(told)},
            start_new_session=True,
        )
        for rank in range(count)
    ]
    return max(rank.wait() for rank in ranks)


def start_orphans(options: Options) -> None:
    prepare = IGNORE if options("orphans_ignore_sigterm") else ""
    command = [sys.executable, "-c", SLEEPER.format(prepare=prepare)]
    for _ in range(options("orphans")):
        if options("orphans_hide"):
            # The process between ends at once, so that nobody is the parent any more.
            hide = f"import subprocess; subprocess.Popen({command!r}, env={{}}, start_new_session=True)"
            subprocess.run([sys.executable, "-c", hide], check=True)
        else:
            subprocess.Popen(command, start_new_session=True)


def export(arguments: argparse.Namespace, options: Options) -> int:
    adapters = Path(arguments.adapters)
    if not (adapters / "trainer_state.json").exists():
        print(f"ValueError: path: '{adapters}' not found", file=sys.stderr)
        return 1
    out = Path(arguments.output_dir or f"{adapters}-merged")
    if out.exists() and arguments.exist_ok != "true":
        print(f"FileExistsError: [Errno 17] File exists: '{out}'", file=sys.stderr)
        return 1
    time.sleep(options("export_seconds", 0.1))
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.safetensors").write_bytes(b"\0" * 4096)
    (out / "args.json").write_text("{}")
    print(f"[INFO:swift] Successfully merged LoRA and saved in {out}.", file=sys.stderr)
    return options("export_exit_code")


def deploy(arguments: argparse.Namespace, options: Options) -> int:
    """Serve for ever; as the real one, at the next free port where its own is taken."""
    import threading

    time.sleep(options("load_seconds"))
    server = listen(arguments.host, arguments.port, arguments.served_model_name)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = f"http://{arguments.host}:{server.server_address[1]}"
    print(f"INFO:     Uvicorn running on {where} (Press CTRL+C to quit)", file=sys.stderr, flush=True)
    time.sleep(options("crash_after", 10**6))
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def listen(host: str, port: int, name: str):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"object": "list", "data": [{"id": name, "object": "model"}]}
            body = json.dumps(found if self.path == "/v1/models" else {}).encode()
            self.send_response(200 if self.path == "/v1/models" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    for candidate in range(port, port + 100):
        try:
            return ThreadingHTTPServer((host, candidate), Handler)
        except OSError:
            continue
    raise RuntimeError("no port is free")


COMMANDS = {"sft": train, "pt": train, "rlhf": train, "export": export, "deploy": deploy}


def parse(words: list[str]) -> tuple[str, argparse.Namespace]:
    """The command, whether it is called as `swift sft` or as `python -m swift.cli.sft`, and its flags."""
    if words[:1] == ["-m"]:
        words = [words[1].rpartition(".")[2], *words[2:]]
    parser = argparse.ArgumentParser(prog="fake_swift.py")
    parser.add_argument("command", choices=sorted(COMMANDS))
    for flag in ("model", "output_dir", "adapters", "resume_from_checkpoint", "served_model_name"):
        parser.add_argument(f"--{flag}", default="")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    for flag in ("enable_jit_checkpoint", "exist_ok"):
        parser.add_argument(f"--{flag}", nargs="?", const="true", default="false")
    parser.add_argument("--save_only_model", default="false")
    parser.add_argument("--max_steps", type=int, default=20)
    parser.add_argument("--per_device_train_batch_size", type=int, default=1)
    parser.add_argument("--logging_steps", type=int, default=5)
    parser.add_argument("--save_steps", type=int, default=10)
    parser.add_argument("--eval_steps", type=int, default=0)
    arguments, _ = parser.parse_known_args(words)
    if arguments.max_steps < 1:
        arguments.max_steps = 20
    return arguments.command, arguments


def main() -> int:
    command, arguments = parse(sys.argv[1:])
    return COMMANDS[command](arguments, Options(arguments.model))


if __name__ == "__main__":
    sys.exit(main())
