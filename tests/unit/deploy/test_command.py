"""The command line that a deployment becomes."""

from __future__ import annotations

import pytest

from swiftletd.deploy.domain.command import Backend, Server, deploy_command

MERGED = Server(served_model_name="farm", model="/out/merged")


def test_a_merged_model_on_the_cpu():
    command = deploy_command(MERGED, "/env/bin/python", "4.6.0")

    assert " ".join(command.argv) == (
        "/env/bin/python -m swift.cli.deploy --host 127.0.0.1 --port {port} --model /out/merged "
        "--served_model_name farm --infer_backend transformers --max_new_tokens 2048 "
        "--verbose false --log_interval=-1"
    )
    assert command.env["CUDA_VISIBLE_DEVICES"] == ""
    assert command.env["HF_HUB_OFFLINE"] == "1"


def test_an_adapter_is_passed_as_one():
    argv = deploy_command(Server(served_model_name="farm", adapter="/out/ckpt"), "python", "4.6.0").argv

    assert argv[argv.index("--adapters") + 1] == "/out/ckpt"
    assert "--model" not in argv


@pytest.mark.parametrize(
    ("version", "memory", "length"),
    [
        ("4.6.0", "--vllm_gpu_memory_utilization", "--vllm_max_model_len"),
        ("3.12.6", "--vllm_gpu_memory_utilization", "--vllm_max_model_len"),
        ("3.5.0", "--gpu_memory_utilization", "--max_model_len"),
    ],
)
def test_vllm_settings_have_the_names_of_the_version(version: str, memory: str, length: str):
    server = Server(
        served_model_name="m",
        model="Qwen/Qwen3-8B",
        backend=Backend.VLLM,
        gpu_memory_utilization=0.9,
        max_model_len=8192,
    )
    command = deploy_command(server, "python", version, ("0", "1"))

    assert command.argv[command.argv.index(memory) + 1] == "0.9"
    assert command.argv[command.argv.index(length) + 1] == "8192"
    assert command.env["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "HF_HUB_OFFLINE" not in command.env


def test_the_plain_backend_of_version_3_is_called_pt():
    argv = deploy_command(MERGED, "python", "3.12.6").argv

    assert argv[argv.index("--infer_backend") + 1] == "pt"


@pytest.mark.parametrize(("model", "adapter"), [("", ""), ("/m", "/a")])
def test_a_server_has_one_model(model: str, adapter: str):
    with pytest.raises(ValueError, match="either a model or an adapter"):
        Server(served_model_name="m", model=model, adapter=adapter)
