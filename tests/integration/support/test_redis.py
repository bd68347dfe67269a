"""The Redis that the other tests lean on keeps its own promises."""

from __future__ import annotations

import pytest
import redis

from support.redis import RedisServer


def test_the_server_of_the_session_is_empty_for_each_test(redis_server: RedisServer):
    with redis_server.client() as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
def test_what_was_written_is_there_after_a_restart(private_redis: RedisServer, end):
    with private_redis.client() as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 2000)
    end(private_redis)
    private_redis.start()
    with private_redis.client() as client:
        assert client.get("kept") == "yes"


def test_a_password_is_asked_for(private_redis_with_password: RedisServer):
    with redis.Redis.from_url(private_redis_with_password.tcp_url) as client:
        assert client.ping()
    with (
        redis.Redis(unix_socket_path=str(private_redis_with_password.socket), retry=None) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()
