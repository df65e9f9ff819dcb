"""A gateway with a chain whose steps are sent to scripted upstreams, and what these answer."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from jotgate.core.compiler import Materials, compile_snapshot
from jotgate.core.config_reader import parse
from jotgate.core.key_life import OwnKeys
from jotgate.core.quotas import Quota
from jotgate.core.snapshot import Snapshot
from jotgate.gateway.world import Place
from jotgate.ports import Running, UpstreamPort
from jotgate.testing.ports import RecordingCaller, ScriptedExchange
from jotgate.upstreams.chain import ChainRuns, ChainUpstream, Scene
from tests.metering import TICK_S, MeteredStage

SHIPPED: Final = Path(__file__).parents[1] / "src/jotgate/presets/prompt-chain.toml"
PROMPTS: Final[Mapping[str, str]] = {
    "find.md": "Find out what is wanted. {{schema}}",
    "work.md": "Work on: {{find.intent}}",
    "tell.md": "Say it: {{work}}",
}
SETTINGS: Final = """
[[upstreams]]
name = "one"
kind = "openai"
base_url = "http://127.0.0.1:1/v1"
models = { m = "real-m", n = "real-n" }
[[upstreams]]
name = "two"
kind = "openai"
base_url = "http://127.0.0.1:2/v1"
models = { m = "other-m" }
[[prices]]
model = "real-m"
input = 1
output = 5
[[prices]]
model = "other-m"
input = 2
output = 10
[[prices]]
model = "real-n"
input = 3
output = 15

[[chains]]
name = "c"
timeout = "60s"
tries = 3
backoff = "1s"
backoff_max = "30s"
[[chains.steps]]
name = "find"
prompt_file = "find.md"
model = "m"
max_tokens = 50
timeout = "15s"
gates = [{ member = "intent", not_empty = true }]
[chains.steps.schema]
type = "object"
required = ["intent"]
[chains.steps.schema.properties]
intent = { type = "string" }
[[chains.steps]]
name = "work"
prompt_file = "work.md"
model = "m"
max_tokens = 60
timeout = "30s"
gates = [{ member = "confidence", at_least = 0.5 }]
[chains.steps.schema]
type = "object"
required = ["content", "confidence"]
[chains.steps.schema.properties]
content = { type = "string" }
confidence = { type = "number", minimum = 0, maximum = 1 }
[[chains.steps]]
name = "tell"
prompt_file = "tell.md"
model = "n"
max_tokens = 70
temperature = 0.5
timeout = "20s"
stream = true
"""
"""A chain `c` of three steps: `m` is at `one`, and then at `two`; `n` is at `one` alone."""

TALK: Final[list[dict[str, object]]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hello to you."},
    {"role": "user", "content": "What is a fjord?"},
]
FOUND: Final = '{"intent":"know fjords"}'
WORKED: Final = '{"content":"a bay","confidence":0.9}'
DONE: Final = b"data: [DONE]\n\n"


def snapshot_of(text: str = SETTINGS, prompts: Mapping[str, str] = PROMPTS) -> Snapshot:
    """The snapshot that these settings mean."""
    return compile_snapshot(
        parse(tomllib.loads(text)), "http://i", OwnKeys(b"{}", ("ES256",)), 1, Materials(prompts=prompts)
    )


def body_of(*, stream: bool = True, **members: object) -> bytes:
    """A call of the chain with the usual conversation."""
    return json.dumps({"model": "c", "messages": TALK, "stream": stream, **members}).encode()


def completion(text: str, tokens: tuple[int, int] | None = (10, 4), finish: str = "stop") -> bytes:
    """A whole answer of an upstream, which used so many tokens of input and output."""
    message = {"role": "assistant", "content": text}
    answer: dict[str, object] = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    if tokens is not None:
        answer["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return json.dumps(answer).encode()


def event(text: str, finish: str | None = None) -> bytes:
    """An event of a stream of an upstream."""
    return (
        b"data: %b\n\n"
        % json.dumps(
            {
                "id": "theirs",
                "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
                "usage": None,
            }
        ).encode()
    )


def usage_event(tokens_in: int, tokens_out: int) -> bytes:
    """The event that tells a stream's usage."""
    return b'data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}\n\n' % (tokens_in, tokens_out)


def shipped_chain(name: str, **models: str) -> str:
    """The chain of the preset, under this name, with other models for its steps."""
    head, *steps = SHIPPED.read_text("utf-8").partition("\n[[chains]]\n")[2].split("[[chains.steps]]\n")
    written = [f"[[chains]]\n{head.replace('prompt-chaining', name)}"]
    for step in steps:
        kept = [line for line in step.splitlines() if not line.startswith(("model = ", "upstream = "))]
        model = next(model for known, model in models.items() if f'name = "{known}"' in step)
        written.append("\n".join(["[[chains.steps]]", f'model = "{model}"', *kept]))
    return "\n".join([*written, ""])


class Halves:
    """Chance that always gives the middle (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return b"\x80".ljust(count, b"\0")


class ChainStage(MeteredStage):
    """The stage with the chain `c` of these settings; `quotas` meet its calls."""

    def __init__(self, *quotas: Quota, text: str = SETTINGS, ports: Mapping[str, UpstreamPort] | None = None) -> None:
        super().__init__(*quotas)
        snapshot = snapshot_of(text)
        self.chains = ChainRuns(self.clock, Halves(), self.turns.soon)
        known: dict[str, UpstreamPort] = {"one": self.one, "two": self.two, **(ports or {})}
        for upstream in snapshot.upstreams:
            if upstream.kind == "chain":
                known[upstream.name] = ChainUpstream(upstream.name, lambda: self.scene, self.chains)
        self.places = {one.name: Place(one, known[one.name]) for one in snapshot.upstreams if one.name in known}
        self.scene = Scene({chain.name: chain for chain in snapshot.chains}, self.places)
        routes = {route.alias: route for route in snapshot.routes}
        self.world = structs.replace(self.world, routes=routes, places=self.places)
        self.gateway.swap(self.world)

    def chain(self, *, stream: bool = True, **members: object) -> tuple[RecordingCaller, Running]:
        """Call the chain, and let it ask its first step."""
        caller, running = self.begin(body_of(stream=stream, **members))
        assert running is not None, caller.body
        return caller, running

    def to_last_step(self, *, stream: bool = True, **members: object) -> tuple[RecordingCaller, ScriptedExchange]:
        """Call the chain and answer its first two steps; what it asks of the last."""
        caller, _ = self.chain(stream=stream, **members)
        self.one.last.answer(200, completion(FOUND, (100, 20)))
        self.one.last.answer(200, completion(WORKED, (200, 30)))
        return caller, self.one.last

    def body(self, number: int = -1) -> dict[str, Any]:
        """What was asked of `one`."""
        body: dict[str, Any] = json.loads(self.one.exchanges[number].outbound.body)
        return body

    def pass_time(self, span_s: float) -> None:
        """Let time pass, and every step and call look at it."""
        for _ in range(round(span_s / TICK_S)):
            self.wait(TICK_S)
            self.chains.check_deadlines()
            self.run()

    def at_rest(self) -> bool:
        """Whether nothing is left of any chain: no run, no call, no place taken, no exchange under way."""
        running = [place.standing.running for place in self.places.values()]
        return not self.chains.live and not self.gateway.live and not any(running)


def events_of(body: bytes) -> list[dict[str, Any]]:
    """The events of a stream that ended as it must."""
    *events, done, rest = body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    return [json.loads(text.removeprefix(b"data: ")) for text in events]
