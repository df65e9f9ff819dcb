"""The workflows of Coze's stand-in: run at once, in the background or streamed, interrupted and resumed."""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from jotgate.testing.coze_conversations import Handler
from jotgate.testing.coze_tokens import Holder
from jotgate.testing.coze_told import CozeTold
from jotgate.testing.coze_values import Interrupt, RunSeen, Workflow
from jotgate.testing.coze_wire import LOG_ID, Ask, Line, Refused, Voice, granted, to_text
from jotgate.testing.upstream import Answer, Gate

EVENT_USES_MAX: Final = 3
_NOT_INTERRUPTIBLE: Final = 6039
_MODES: Final = {"sync": 0, "stream": 1, "async": 2}


class _RunBody(Struct, frozen=True):
    workflow_id: str = ""
    parameters: dict[str, object] | None = None
    bot_id: str | None = None
    app_id: str | None = None
    is_async: bool = False


class _Resumption(Struct, frozen=True):
    workflow_id: str = ""
    event_id: str = ""
    resume_data: str = ""
    interrupt_type: int = 0


class Run:
    """One run: where it stands among its interrupts, what it was told, how often it was looked at."""

    def __init__(self, told: CozeTold, workflow: Workflow, seen: RunSeen, bot_id: str) -> None:
        self.workflow = workflow
        self.seen = seen
        self.bot_id = bot_id
        self.answers: dict[int, str] = {}
        self.looked = 0
        self.begun_s = int(told.now_s())

    @property
    def output(self) -> str:
        """Its output as JSON in text."""
        if self.workflow.output is not None:
            return self.workflow.output
        said = self.answers[max(self.answers)] if self.answers else self.seen.parameters
        return to_text({"output": said})

    @property
    def failure(self) -> tuple[int, str] | None:
        """Why it fails, if it does; nobody is there to ask when it runs in the background."""
        if self.seen.way == "async" and self.workflow.interrupts:
            return _NOT_INTERRUPTIBLE, "an interrupt is not supported here"
        return self.workflow.failure

    @property
    def usage(self) -> dict[str, int]:
        """The tokens that it took."""
        tokens_in, tokens_out = self.workflow.usage
        return {"token_count": tokens_in + tokens_out, "input_count": tokens_in, "output_count": tokens_out}

    @property
    def debug_url(self) -> str:
        """Where its author sees it."""
        return (
            f"https://www.coze.com/work_flow?execute_id={self.seen.execute_id}&workflow_id={self.workflow.workflow_id}"
        )

    @property
    def is_over(self) -> bool:
        """Whether a run in the background has ended."""
        gate = self.workflow.gate
        return self.looked > self.workflow.delay and (gate is None or gate.is_open)


class _Asked(Struct, frozen=True):
    """An interrupt that waits: of which run, the how-manieth, and how often its answer came."""

    run: Run
    place: int
    uses: int = 0

    @property
    def interrupt(self) -> Interrupt:
        return self.run.workflow.interrupts[self.place]


class WorkflowDesk:
    """Runs workflows, and answers their paths."""

    def __init__(self, told: CozeTold) -> None:
        self._told = told
        self._runs: dict[str, Run] = {}
        self._asked: dict[str, _Asked] = {}
        self.routes: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/workflow/run"): self._run,
            ("POST", "/v1/workflow/stream_run"): self._stream,
            ("POST", "/v1/workflow/stream_resume"): self._resume,
            ("GET", "/v1/workflows/{}/run_histories/{}"): self._history,
        }

    def _run(self, ask: Ask, holder: Holder) -> Answer:
        body = ask.body(_RunBody)
        run = self._begin(ask, body, holder, "async" if body.is_async else "sync")
        beside: dict[str, object] = {"debug_url": run.debug_url, "execute_id": run.seen.execute_id}
        if body.is_async:
            return granted(None, **beside)
        if run.workflow.interrupts:
            interrupt = run.workflow.interrupts[0]
            needed = {"event_id": self._ask_of(run, 0), "type": interrupt.kind, "data": interrupt.data}
            return granted("", **beside, usage=run.usage, interrupt_data=needed)
        if run.failure is not None:
            raise Refused(*run.failure)
        answer = granted(run.output, **beside, usage=run.usage)
        return answer if run.workflow.gate is None else [run.workflow.gate, *answer]

    def _stream(self, ask: Ask, holder: Holder) -> Answer:
        run = self._begin(ask, ask.body(_RunBody), holder, "stream")
        return self._voice(ask).answer(self._from_the_start(run))

    def _resume(self, ask: Ask, holder: Holder) -> Answer:
        body = ask.body(_Resumption)
        asked = self._asked.get(body.event_id)
        if asked is None or asked.run.workflow.workflow_id != body.workflow_id:
            raise Refused(4200)
        if asked.interrupt.kind != body.interrupt_type:
            raise Refused(4000, "Request parameter error: interrupt_type")
        if asked.uses >= EVENT_USES_MAX:
            raise Refused(4000, "Request parameter error: event_id was used too often")
        run = asked.run
        self._asked[body.event_id] = _Asked(run, asked.place, asked.uses + 1)
        run.answers = {place: said for place, said in run.answers.items() if place < asked.place}
        run.answers[asked.place] = body.resume_data
        self._told.resumed.append(body.event_id)
        self._told.runs.append(
            RunSeen(
                workflow_id=body.workflow_id,
                execute_id=run.seen.execute_id,
                session=holder.session,
                way="resume",
                parameters=run.seen.parameters,
                event_id=body.event_id,
                told=body.resume_data,
                body=ask.raw,
            )
        )
        return self._voice(ask).answer(self._from_interrupt(run, asked.place + 1))

    def _history(self, ask: Ask, _holder: Holder) -> Answer:
        workflow_id, execute_id = ask.numbers()
        run = self._runs.get(execute_id)
        if run is None or run.workflow.workflow_id != workflow_id:
            raise Refused(4314)
        run.looked += 1
        code, message = (run.failure or (0, "")) if run.is_over else (0, "")
        status = "Running" if not run.is_over else "Fail" if run.failure is not None else "Success"
        return granted(
            [
                {
                    "execute_id": execute_id,
                    "execute_status": status,
                    "bot_id": run.bot_id or "0",
                    "connector_id": "1024",
                    "connector_uid": "2105000000000001",
                    "run_mode": _MODES[run.seen.way],
                    "logid": LOG_ID,
                    "create_time": run.begun_s,
                    "update_time": int(self._told.now_s()),
                    "output": run.output if status == "Success" else "",
                    "error_code": code or "",
                    "error_message": message,
                    "debug_url": run.debug_url,
                    "usage": run.usage,
                    "node_execute_status": {},
                    "is_output_trimmed": False,
                }
            ]
        )

    def _begin(self, ask: Ask, body: _RunBody, holder: Holder, way: Literal["sync", "stream", "async"]) -> Run:
        if not body.workflow_id or (body.bot_id and body.app_id):
            raise Refused(4000)
        workflow = self._told.workflows.get(body.workflow_id)
        if workflow is None or not workflow.published:
            raise Refused(4200)
        if way == "async" and not self._told.async_in_plan:
            raise Refused(6003)
        seen = RunSeen(
            workflow_id=body.workflow_id,
            execute_id=self._told.new_id(),
            session=holder.session,
            way=way,
            parameters=to_text(body.parameters or {}),
            body=ask.raw,
        )
        run = Run(self._told, workflow, seen, body.bot_id or "")
        self._runs[seen.execute_id] = run
        self._told.runs.append(seen)
        return run

    def _ask_of(self, run: Run, place: int) -> str:
        event_id = f"{self._told.new_id()}/{self._told.new_id()}"
        self._asked[event_id] = _Asked(run, place)
        return event_id

    # What a stream says

    def _from_the_start(self, run: Run) -> Iterator[Line | Gate]:
        for _ in range(run.workflow.pings):
            yield Line("PING", {})
        for place, content in enumerate(run.workflow.messages):
            last = place + 1 == len(run.workflow.messages)
            yield _message(content, "Message", place, finished=last)
        yield from self._from_interrupt(run, 0)

    def _from_interrupt(self, run: Run, place: int) -> Iterator[Line | Gate]:
        if place < len(run.workflow.interrupts):
            interrupt = run.workflow.interrupts[place]
            if interrupt.question:
                yield _message(interrupt.question, interrupt.node_title, 0, finished=True)
            needed = {"data": interrupt.data, "event_id": self._ask_of(run, place), "type": interrupt.kind}
            yield Line("Interrupt", {"interrupt_data": needed, "node_title": interrupt.node_title})
            return
        if run.workflow.gate is not None:
            yield run.workflow.gate
        if run.failure is not None:
            yield Line("Error", {"error_code": run.failure[0], "error_message": run.failure[1]})
            return
        yield _message(run.output, "End", 0, finished=True, usage=run.usage)
        yield Line("Done", {"debug_url": run.debug_url})

    def _voice(self, ask: Ask) -> Voice:
        told = self._told
        return Voice(told.spaced(workflow=True), True, told.chunk_bytes, told.pace_s, ask.fault)


def _message(content: str, node_title: str, place: int, *, finished: bool, **beside: object) -> Line:
    members = {
        "content": content,
        "content_type": "text",
        "node_is_finish": finished,
        "node_seq_id": str(place),
        "node_title": node_title,
        "node_type": "End" if node_title == "End" else "Message",
        **beside,
    }
    return Line("Message", members, piece=True)
