"""The process that holds the small model: `python -m jotgate.testing.model_server WEIGHTS NAME`.

Its first line of stdin is the API key that it asks for; its first line of stdout says where it listens. It ends when
stdin does, so that it never outlives whoever started it.
"""

import sys

import xllamacpp

_CONTEXT_TOKENS = 8192
_SEQUENCES = 2


def main() -> None:
    """Serve the model until stdin ends."""
    weights, name = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = [name]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [sys.stdin.readline().strip()]
    params.n_ctx = _CONTEXT_TOKENS
    params.n_parallel = _SEQUENCES
    params.n_gpu_layers = 0
    # Threads that wait for one another crawl when the gateway and the tests want their processors too.
    params.cpuparams.n_threads = 1
    params.warmup = False
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    sys.stdout.write(f"listening {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
