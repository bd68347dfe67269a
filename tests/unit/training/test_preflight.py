"""The checks before the queue, on small real files."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swiftletd.training.adapters.preflight import Facts, Order, Places, Reader, inspect
from swiftletd.training.adapters.preflight.inspect import confine
from swiftletd.training.domain.params import InvalidParams, Method, TrainerType, parse_params
from unit.training.installations import INSTALLATION

TURN = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
ARGS = {"swift_version": "4.6.0", "model_type": "qwen3", "template": "qwen3"}


def safetensors(path: Path, data: bytes = b"\0" * 16, promised: int = 16) -> None:
    header = json.dumps({"w": {"dtype": "BF16", "shape": [8], "data_offsets": [0, promised]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A directory with a model, a data set and a place for results."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"architectures": ["Qwen3ForCausalLM"], "hidden_size": 8}))
    (model / "args.json").write_text(json.dumps(ARGS))
    (model / "tokenizer.json").write_text("{}")
    safetensors(model / "model.safetensors")
    (tmp_path / "train.jsonl").write_text(
        json.dumps({"messages": TURN}) + "\n\n" + json.dumps({"messages": TURN})
    )
    return tmp_path


class Asking:
    """An order with good defaults below a base directory."""

    def __init__(self, base: Path) -> None:
        self.places = Places(base=base, roots=(base,))
        self.reader = Reader()

    def order(self, raw: dict[str, Any] | None = None, **changes: Any) -> Order:
        trainer, method = changes.pop("trainer", TrainerType.LLM), changes.pop("method", Method.SFT)
        params = parse_params(trainer, method, raw or {})
        paths = {"model_path": "model", "data_path": "train.jsonl", "output_dir": "out"}
        return Order(method=method, params=params, at=f"{trainer}_params", **{**paths, **changes})

    def facts(self, raw: dict[str, Any] | None = None, rows: int = 100, **changes: Any) -> Facts:
        return inspect(self.order(raw, **changes), self.places, INSTALLATION, self.reader, rows=rows)

    def faults(self, raw: dict[str, Any] | None = None, **changes: Any) -> dict[str, str]:
        with pytest.raises(InvalidParams) as caught:
            self.facts(raw, **changes)
        return {fault.field: fault.message for fault in caught.value.violations}


@pytest.fixture
def asking(base: Path) -> Asking:
    return Asking(base)


def test_a_good_order_and_what_is_learned_from_it(base: Path, asking: Asking):
    facts = asking.facts()

    assert facts.order.model_path == str(base / "model")
    assert facts.order.data_path == str(base / "train.jsonl")
    assert facts.order.output_dir == str(base / "out")
    assert facts.rows == 2
    assert facts.model_bytes == (base / "model" / "model.safetensors").stat().st_size
    assert facts.identity
    assert facts.identity.template == "qwen3"
    assert facts.disk_needed > 0


def test_hub_ids_are_passed_on(asking: Asking):
    facts = asking.facts(model_path="Qwen/Qwen3-0.6B", data_path="AI-ModelScope/coco#20000")

    assert facts.order.model_path == "Qwen/Qwen3-0.6B"
    assert facts.order.data_path == "AI-ModelScope/coco#20000"
    assert (facts.model_bytes, facts.identity, facts.rows) == (None, None, None)


def test_every_fault_is_told_at_once(base: Path, asking: Asking):
    found = asking.faults(
        {"extra_args": {"data_sed": "1"}, "report_to": "wandb"},
        model_path="/nope",
        data_path="./nope",
        output_dir="/x",
    )

    assert found.keys() == {
        "model_path",
        "data_path",
        "output_dir",
        "llm_params.extra_args.data_sed",
        "llm_params.report_to",
    }
    assert found["data_path"] == f"{base}/nope is not there"


def test_a_path_holds_no_placeholder_of_ours(asking: Asking):
    assert "{checkpoint}" in asking.faults(output_dir="{checkpoint}/x")["output_dir"]


class TestModel:
    def test_neither_path_nor_id(self, asking: Asking):
        assert "owner/name" in asking.faults(model_path="model-x")["model_path"]

    def test_a_file(self, asking: Asking):
        assert "is a file" in asking.faults(model_path="train.jsonl")["model_path"]

    def test_no_config(self, base: Path, asking: Asking):
        (base / "model" / "config.json").unlink()
        assert "no config.json" in asking.faults()["model_path"]

    def test_adapters(self, base: Path, asking: Asking):
        (base / "model" / "config.json").rename(base / "model" / "adapter_config.json")
        assert "adapters and not a model" in asking.faults()["model_path"]

    def test_a_broken_config_is_named_with_its_line(self, base: Path, asking: Asking):
        (base / "model" / "config.json").write_text('{"architectures":\n [}')
        assert f"{base}/model/config.json:2 is not valid JSON" in asking.faults()["model_path"]

    def test_no_weights(self, base: Path, asking: Asking):
        (base / "model" / "model.safetensors").unlink()
        assert "no weights" in asking.faults()["model_path"]

    def test_no_tokenizer(self, base: Path, asking: Asking):
        (base / "model" / "tokenizer.json").unlink()
        assert "no tokenizer" in asking.faults()["model_path"]

    def test_a_missing_shard(self, base: Path, asking: Asking):
        index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
        (base / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
        assert "names model-2.safetensors" in asking.faults()["model_path"]

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
            (b"\0\0", "cut short"),
            (b"\xff" * 64, "cut short"),
            (struct.pack("<Q", 4) + b"[[]]", "not a safetensors file"),
        ],
    )
    def test_weights_that_are_none(self, base: Path, asking: Asking, content: bytes, says: str):
        (base / "model" / "model.safetensors").write_bytes(content)
        assert says in asking.faults()["model_path"]

    def test_weights_that_were_cut_short(self, base: Path, asking: Asking):
        safetensors(base / "model" / "model.safetensors", b"\0" * 10, promised=16)
        assert "6 bytes are missing" in asking.faults()["model_path"]

    def test_a_type_that_can_not_be_told(self, base: Path, asking: Asking):
        (base / "model" / "args.json").unlink()
        assert "set it" in asking.faults()["llm_params.model_type"]
        assert asking.facts({"model_type": "qwen3", "template": "qwen3"})


class TestDataset:
    @pytest.mark.parametrize(
        ("name", "content", "rows"),
        [
            ("a.jsonl", json.dumps({"messages": TURN}), 1),
            ("a.json", json.dumps([{"messages": TURN}, {"messages": TURN}], indent=1), 2),
            ("b.json", json.dumps({"messages": TURN}) + "\n", 1),
            ("a.csv", "query,response\nhi,ho\n", 1),
            ("b.csv", 'query,response\n"hi\nyou",ho\n', 1),
        ],
    )
    def test_formats(self, base: Path, asking: Asking, name: str, content: str, rows: int | None):
        (base / name).write_text(content)
        assert asking.facts(data_path=name).rows == rows

    def test_plain_text_to_go_on_training_with(self, base: Path, asking: Asking):
        (base / "book.txt").write_text("once\nupon\n")
        assert asking.facts(data_path="book.txt", method=Method.PT).rows == 2

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("a.jsonl", '{"messages": 1}\n{"mess', "a.jsonl:2 is not valid JSON"),
            ("a.jsonl", "\n\n", "a.jsonl has no rows"),
            ("a.jsonl", '{"query": "x"}\n', "a.jsonl:1 has a question and no answer"),
            ("a.json", '[{"query": "x", "response": "y"},\n {"query"', "a.json:2 is not valid JSON"),
            ("a.json", '[{"query": "x", "response": "y"}\n {}]', "a.json:1 has no comma"),
            ("a.json", '[{"query": "x", "response": "y"}', "a.json:1 has no comma"),
            ("a.json", "[]", "a.json has no rows"),
            ("a.csv", "query,response\nhi,ho,hu\n", "a.csv:2 has 1 more values"),
            ("a.csv", 'query,response\n"hi,ho\n', "a.csv:2 is not valid CSV"),
            ("a.xml", "<a/>", "it takes jsonl, json, csv, txt or parquet"),
            ("a.parquet", "PK", "is not a parquet file"),
        ],
    )
    def test_files_that_can_not_be_used(self, base: Path, asking: Asking, name: str, content: str, says: str):
        (base / name).write_text(content)
        assert says in asking.faults(data_path=f"./{name}")["data_path"]

    def test_bytes_that_are_no_text(self, base: Path, asking: Asking):
        (base / "a.jsonl").write_bytes(json.dumps({"messages": TURN}).encode() + b'\n{"a": "\xff"}\n')
        assert "a.jsonl:2 is not UTF-8 text" in asking.faults(data_path="a.jsonl")["data_path"]

    def test_the_file_and_line_can_be_read_by_programs(self, base: Path, asking: Asking):
        (base / "a.jsonl").write_text(json.dumps({"messages": TURN}) + '\n{"query": "x"}\n')
        with pytest.raises(InvalidParams) as caught:
            asking.facts(data_path="a.jsonl")

        assert caught.value.reason == "PATH_NOT_USABLE"
        assert caught.value.violations[0].details == {"file": str(base / "a.jsonl"), "line": "2"}

    def test_the_same_fault_is_not_told_for_every_row(self, base: Path, asking: Asking):
        (base / "a.jsonl").write_text('{"query": "x"}\n' * 50)
        with pytest.raises(InvalidParams) as caught:
            asking.facts(data_path="a.jsonl")

        assert len(caught.value.violations) == 5

    def test_only_the_first_rows_are_looked_at(self, base: Path, asking: Asking):
        (base / "a.jsonl").write_text(f"{json.dumps({'messages': TURN})}\n" * 3 + "broken\n")

        assert asking.facts(rows=3, data_path="a.jsonl").rows == 3
        assert "a.jsonl:4" in asking.faults(rows=4, data_path="a.jsonl")["data_path"]

    def test_a_sample_of_a_file(self, base: Path, asking: Asking):
        assert asking.facts(data_path="train.jsonl#1").order.data_path == f"{base}/train.jsonl#1"

    def test_a_number_sign_may_be_part_of_the_name(self, base: Path, asking: Asking):
        (base / "train.jsonl").rename(base / "train#2.jsonl")
        assert asking.facts(data_path="train#2.jsonl").rows == 2

    def test_a_directory_is_looked_into(self, base: Path, asking: Asking):
        (base / "set" / "data").mkdir(parents=True)
        assert "holds no data file" in asking.faults(data_path="set")["data_path"]

        (base / "set" / "data" / "a.jsonl").write_text('{"query": "x"}\n')
        assert "data/a.jsonl:1" in asking.faults(data_path="set")["data_path"]

    def test_a_directory_of_json_is_left_to_its_loader(self, base: Path, asking: Asking):
        (base / "set").mkdir()
        (base / "set" / "data.json").write_text("{}")
        assert asking.facts(data_path="set").rows is None

    def test_no_rows_are_looked_at_where_none_are_wanted(self, base: Path, asking: Asking):
        (base / "a.jsonl").write_text("broken")
        assert asking.facts(rows=0, data_path="a.jsonl").rows is None

    def test_the_ending_is_taken_as_it_is_written(self, base: Path, asking: Asking):
        (base / "train.jsonl").rename(base / "train.JSONL")
        assert "it takes jsonl" in asking.faults(data_path="train.JSONL")["data_path"]

    def test_validation_data_is_looked_at_too(self, asking: Asking):
        found = asking.faults({"val_dataset": ["train.jsonl", "./nope.jsonl"]})
        assert found.keys() == {"llm_params.val_dataset[1]"}

    def test_dpo_needs_what_was_rejected(self, asking: Asking):
        assert "rejected_response" in asking.faults(method=Method.RLHF)["data_path"]

    def test_pictures_exist_beside_the_data_set(self, base: Path, asking: Asking):
        (base / "set" / "images").mkdir(parents=True)
        (base / "set" / "images" / "0.png").touch()
        row = {"messages": [{"role": "user", "content": "<image>what?"}, TURN[1]], "images": ["images/0.png"]}
        (base / "set" / "a.jsonl").write_text(
            json.dumps(row) + "\n" + json.dumps({**row, "images": ["1.png"]})
        )

        assert asking.facts(data_path="set/a.jsonl")
        found = asking.faults(trainer=TrainerType.MLLM, data_path="set/a.jsonl")
        assert found == {"data_path": f"{base}/set/a.jsonl:2 names in images 1.png, which is not there"}

    def test_pictures_elsewhere_are_not_looked_for(self, base: Path, asking: Asking):
        row = {"messages": TURN, "images": ["http://x/0.png", "data:image/png;base64,AAAA"]}
        (base / "a.jsonl").write_text(json.dumps(row))
        assert asking.facts(trainer=TrainerType.MLLM, data_path="a.jsonl")


class TestOutput:
    @pytest.mark.parametrize("path", ["/etc/swiftlet", "../out", "out/../../x", "~/nope/../../../x"])
    def test_results_stay_below_the_roots(self, asking: Asking, path: str):
        assert "may only be written below" in asking.faults(output_dir=path)["output_dir"]

    def test_a_link_does_not_lead_out(self, base: Path, asking: Asking):
        (base / "link").symlink_to("/tmp")
        assert "leads to /tmp/x" in asking.faults(output_dir="link/x")["output_dir"]

    def test_a_file_is_in_the_way(self, asking: Asking):
        assert "train.jsonl is a file" in asking.faults(output_dir="train.jsonl/x")["output_dir"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_no_right_to_write(self, base: Path, asking: Asking):
        (base / "locked").mkdir(mode=0o500)
        assert "no right to write" in asking.faults(output_dir="locked/x")["output_dir"]

    def test_without_reading_files_paths_are_still_confined(self, base: Path, asking: Asking):
        order = asking.order(model_path="/nope", data_path="./gone.jsonl")

        assert confine(order, asking.places).data_path == f"{base}/gone.jsonl"
        with pytest.raises(InvalidParams):
            confine(asking.order(output_dir="/etc/x"), asking.places)


class TestOtherFiles:
    def test_a_checkpoint_without_its_optimizer(self, base: Path, asking: Asking):
        checkpoint = base / "out" / "checkpoint-20"
        checkpoint.mkdir(parents=True)
        raw: dict[str, Any] = {"resume_from_checkpoint": "out/checkpoint-20"}
        assert "trainer_state.json" in asking.faults(raw)["llm_params.resume_from_checkpoint"]

        (checkpoint / "trainer_state.json").write_text("{}")
        assert "no optimizer state" in asking.faults(raw)["llm_params.resume_from_checkpoint"]

        (checkpoint / "optimizer.pt").touch()
        assert asking.facts(raw).order.params.resume_from_checkpoint == str(checkpoint)

    def test_a_deepspeed_file_must_be_json(self, base: Path, asking: Asking):
        (base / "ds.json").write_text("{,}")
        assert "is not valid JSON" in asking.faults({"deepspeed": "ds.json"})["llm_params.deepspeed"]

    def test_the_reference_model_is_a_model(self, asking: Asking):
        raw = {"ref_model": "./nope", "train_type": "full"}
        found = asking.faults(raw, method=Method.RLHF, data_path="a/b")
        assert found == {"llm_params.ref_model": f"{asking.places.base}/nope is not there"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(model=st.text(max_size=30), data=st.text(max_size=30), output=st.text(max_size=30))
def test_any_paths_are_judged(asking: Asking, model: str, data: str, output: str):
    told: Any = None
    try:
        told = asking.facts(model_path=model, data_path=data, output_dir=output)
    except InvalidParams as refused:
        told = refused.violations
    assert told
