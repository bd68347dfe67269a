"""Stand-ins for the programs of a suite: they speak the protocol that they are asked by, and nothing else.

python standin.py grpc TARGET | http PORT | stubborn PORT | broken TEXT
"""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer


def serve_grpc(target: str) -> None:
    import grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    server = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(target)
    server.start()
    print("serving", target, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def serve_http(port: str) -> None:
    with HTTPServer(("127.0.0.1", int(port)), Page) as server:
        server.serve_forever()


def main() -> None:
    match sys.argv[1:]:
        case ["grpc", target]:
            serve_grpc(target)
        case ["http", port]:
            serve_http(port)
        case ["stubborn", port]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            serve_http(port)
        case ["broken", text]:
            print(text, file=sys.stderr)
            sys.exit(1)


main()
