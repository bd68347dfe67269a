"""What the gateway is told about model servers."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

from swiftletd.deploy.adapters.routes import ModelServer, document, publish


def test_each_deployment_is_a_cluster_that_the_gateway_finds_by_its_id():
    first, second = document([ModelServer("b", 8002), ModelServer("a", 8001)])["resources"]
    assert (first["name"], second["name"]) == ("serve_a", "serve_b")
    endpoint = first["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8001}


def test_several_servers_of_a_deployment_share_its_cluster_by_weight():
    servers = [ModelServer("a", 8001, weight=4), ModelServer("a", 8002)]
    (cluster,) = document(servers)["resources"]
    weights = [
        e["load_balancing_weight"]["value"]
        for e in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    assert weights == [4, 1]


def test_the_order_in_which_servers_are_named_says_nothing():
    servers = [ModelServer(f"d{n}", 8000 + n) for n in range(20)]
    shuffled = random.Random(1).sample(servers, 20)
    assert document(shuffled) == document(servers)


def test_what_is_published_can_be_read_and_is_written_once(tmp_path):
    path = tmp_path / "gateway" / "model_servers.json"
    assert publish(path, [ModelServer("a", 8001)])
    assert not publish(path, [ModelServer("a", 8001)])
    assert [r["name"] for r in json.loads(path.read_text())["resources"]] == ["serve_a"]
    assert publish(path, [])
    assert json.loads(path.read_text())["resources"] == []
    assert [file.name for file in path.parent.iterdir()] == ["model_servers.json"]


def test_routes_that_are_published_at_once_are_whole(tmp_path):
    path = tmp_path / "model_servers.json"
    servers = [[ModelServer(deployment=f"d{n}", port=8001 + n)] for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda some: publish(path, some), servers))
    assert json.loads(path.read_text()) in [document(some) for some in servers]
    assert list(tmp_path.iterdir()) == [path]
