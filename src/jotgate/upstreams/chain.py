"""A chain as an upstream: answers a call by asking other upstreams, step after step, and is charged for all of them.

Nothing is told to the caller before the last step says something, so that whatever fails until then is an answer with a
status of its own. A chain holds no connection: those are its steps', and end with it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Raw, Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.audit import StepUse
from jotgate.core.calls import Outbound, ResponseHead
from jotgate.core.chain_answers import Envelope, Said, said_by
from jotgate.core.chain_asks import Ask, AskRefused, read_ask, repair_messages
from jotgate.core.chain_bounds import StepBudget, budget_of
from jotgate.core.chain_outputs import OutputFault, closed_gate, read_output, repair_request
from jotgate.core.chain_prompts import Output, fill, write_messages
from jotgate.core.chain_schemas import stand_in, write_json
from jotgate.core.chains import Chain
from jotgate.errors import ChainCallRefused, ChainGateClosed, ChainOutputInvalid, UpstreamError, UpstreamUnavailable
from jotgate.gateway.waits import Soon
from jotgate.gateway.world import Place, Turns
from jotgate.ports import Clock, Entropy, StepEvents, Stopping, UpstreamEvents
from jotgate.upstreams.chain_means import Means
from jotgate.upstreams.chain_step import StepRun

_JSON: Final = [(b"content-type", b"application/json")]
_EVENTS: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_ID_BYTES: Final = 12


class Scene(Struct, frozen=True):
    """What a worker knows when a call begins: the chains by name, and the upstreams that their steps are sent to."""

    chains: Mapping[str, Chain]
    places: Mapping[str, Place]


class ChainRuns:
    """The chains that run in a worker. Mutable: these, and the turns of weighted attempts."""

    def __init__(self, clock: Clock, entropy: Entropy, soon: Soon) -> None:
        self.clock: Final = clock
        self.entropy: Final = entropy
        self.soon: Final = soon
        self.turns: Final = Turns()
        self.live: Final[set[ChainRun]] = set()

    def check_deadlines(self) -> None:
        """Let every step see what time it is. Called a few times a second."""
        now_s = self.clock.monotonic_s()
        for run in tuple(self.live):
            run.check(now_s)


class ChainUpstream:
    """Answers calls by one chain (ports.UpstreamPort). What the chain is, each call sees anew."""

    def __init__(self, name: str, scene: Callable[[], Scene], runs: ChainRuns) -> None:
        self._name = name
        self._scene = scene
        self._runs = runs

    def begin(self, outbound: Outbound, events: UpstreamEvents) -> "ChainRun":
        """Answer the call; the first step is asked in a coming turn of the loop."""
        scene = self._scene()
        run = ChainRun(scene.chains.get(self._name), scene.places, outbound, events, self._runs)
        self._runs.live.add(run)
        self._runs.soon(run.start)
        return run


class ChainRun:
    """One call of a chain (ports.UpstreamExchange). Mutable: the step that is under way, what the others said and used.

    It is over when its caller has been told the end, or wants to know nothing more.
    """

    def __init__(
        self,
        chain: Chain | None,
        places: Mapping[str, Place],
        outbound: Outbound,
        events: UpstreamEvents,
        runs: ChainRuns,
    ) -> None:
        self._chain = chain
        self._places = places
        self._outbound = outbound
        self._events: UpstreamEvents | None = events
        self._runs = runs
        self._ask: Ask | None = None
        self._means: Means | None = None
        self._envelope = Envelope("", 0, "")
        self._index = -1
        self._step: StepRun | None = None
        self._messages: Sequence[Raw] = ()
        self._outputs: dict[str, Output] = {}
        self._uses: list[StepUse] = []
        self._begun = False

    def start(self) -> None:
        """Read what is asked, and begin with the first step."""
        if self._events is None:
            return
        chain, outbound, runs = self._chain, self._outbound, self._runs
        if chain is None:
            self._fail(UpstreamUnavailable("the chain was taken out of the settings"))
            return
        try:
            self._ask = read_ask(outbound.operation, outbound.body)
        except AskRefused as fault:
            self._fail(ChainCallRefused(str(fault), param=fault.param))
            return
        name = f"chatcmpl-{runs.entropy.random_bytes(_ID_BYTES).hex()}"
        self._envelope = Envelope(name, int(runs.clock.now_s()), self._ask.model)
        tenant = self._events.caller_tenant if isinstance(self._events, StepEvents) else ""
        self._means = Means(
            places=self._places,
            turns=runs.turns,
            clock=runs.clock,
            entropy=runs.entropy,
            retries=chain.retries,
            lines=outbound.lines,
            tenant=tenant or DEFAULT_TENANT,
        )
        self._go_on(self._ask, self._means, chain)

    # What the one who asked does (ports.UpstreamExchange)

    @property
    def written(self) -> bool:
        """Whether an upstream may have seen a step."""
        return bool(self._uses) or (self._step is not None and self._step.written)

    def abort(self) -> None:
        """Give up: the upstream of the running step is asked no longer, and what it may have done is counted."""
        self._close()

    def stop(self) -> Stopping:
        """Give up: what the running step may have done is counted then."""
        self._close()
        return "over"

    def pause(self) -> None:
        """Stop reading the answer until `resume`."""
        if self._step is not None:
            self._step.pause()

    def resume(self) -> None:
        """Read on."""
        if self._step is not None:
            self._step.resume()

    def check(self, now_s: float) -> None:
        """Let the running step see what time it is."""
        if self._step is not None:
            self._step.check(now_s)

    # What the running step says (chain_step.StepOwner)

    def said(self, said: Said, place: Place) -> None:
        """Look at what a step has answered, and go on; or ask it again."""
        chain, ask, run, means = self._chain, self._ask, self._step, self._means
        if chain is None or ask is None or run is None or means is None:
            return
        step = run.step
        text = said.text
        if step.schema is not None and place.upstream.kind == "echo":
            # What only repeats words cannot answer in JSON: what it says stands for each text that is wanted.
            text = write_json(stand_in(step.schema, text))
            said = said_by(text, said)
        try:
            output = read_output(text, step.schema)
        except OutputFault as fault:
            if chain.repairs and run.may_repair:
                run.repair(repair_messages(self._messages, text, repair_request(fault)))
            else:
                self._fail(ChainOutputInvalid(f"step '{step.name}': its output is not what its schema says: {fault}"))
            return
        closed = closed_gate(step, output) if chain.gated else ""
        if closed:
            self._fail(ChainGateClosed(f"a gate of the chain does not let the answer through: {closed}"))
            return
        self._note_use()
        self._outputs[step.name] = output
        if self._index < len(chain.steps) - 1:
            self._go_on(ask, means, chain)
        else:
            self._finish(said, ask)

    def told(self, choices: Sequence[Raw]) -> None:
        """Pass on a piece of the answer."""
        if self._events is not None:
            head = None if self._begun else ResponseHead(200, _EVENTS, None)
            self._begun = True
            self._events.received(head, self._envelope.event(choices), False)

    def streamed(self) -> None:
        """End the answer that was passed on piece by piece."""
        if self._ask is not None:
            self._note_use()
            self._tell(None, self._envelope.ending(self._uses, tells_usage=self._ask.tells_usage))

    def failed(self, error: UpstreamError) -> None:
        """End the call with a step that cannot be done."""
        self._fail(error)

    # How it goes on, and ends

    def _go_on(self, ask: Ask, means: Means, chain: Chain) -> None:
        self._index += 1
        step = chain.steps[self._index]
        prompt = fill(step.prompt, ask.conversation, self._outputs, step.schema)
        self._messages = write_messages(prompt, ask.conversation)
        last = self._index == len(chain.steps) - 1
        run = self._step = StepRun(step, means, self, ask if last else None, self._budget(chain))
        run.ask(self._messages)

    def _budget(self, chain: Chain) -> StepBudget | None:
        """What the next step may use of what the call has reserved; None: no quota meets it."""
        allowance = self._outbound.allowance
        if allowance is None:
            return None
        used = sum(one.tokens_in for one in self._uses), sum(one.tokens_out for one in self._uses)
        return budget_of(chain, allowance, self._index, used)

    def _finish(self, said: Said, ask: Ask) -> None:
        if not ask.stream:
            body = self._envelope.whole(said, self._uses)
            self._tell(ResponseHead(200, _JSON, len(body)), body)
            return
        ending = self._envelope.ending(self._uses, tells_usage=ask.tells_usage)
        self._tell(ResponseHead(200, _EVENTS, None), self._envelope.events(said) + ending)

    def _tell(self, head: ResponseHead | None, piece: bytes) -> None:
        events = self._events
        self._close()
        if events is not None:
            events.received(head, piece, True)

    def _fail(self, error: UpstreamError) -> None:
        events = self._events
        self._close()
        if events is not None:
            events.failed(error, bool(self._uses))

    def _note_use(self) -> None:
        """Tell what the running step has used; it has ended."""
        step, self._step = self._step, None
        if step is None:
            return
        step.end()
        use = step.use()
        if use is not None:
            self._uses.append(use)
            if isinstance(self._events, StepEvents):
                self._events.stepped(use)

    def _close(self) -> None:
        self._note_use()
        self._events = None
        self._runs.live.discard(self)
