"""A handler of grpcio's asyncio server that decides nothing: what gRPC itself costs in Python.

python -m bench.empty_grpc PORT
"""

import asyncio
import sys

import grpc
import uvloop
from grpc import aio

from jotgate.core.ext_authz import METHOD, write_check


async def serve(port: int) -> None:
    """Let every request pass, until it is ended."""
    passes = write_check(200, b"", b"")

    async def check(_message: bytes, _context: "aio.ServicerContext[bytes, bytes]") -> bytes:
        return passes

    service, _, method = METHOD[1:].partition("/")
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
    server = aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
