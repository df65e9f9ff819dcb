"""A real MCP server of the official SDK, which speaks both eras: `python -m tests.peers.mcp_server http PORT | stdio`.

It has the tools, prompts and resources that the conformance suite asks for, and some that tests ask for: results of any
size, calls that wait, tools that come later.
"""

import asyncio
import base64
import json
import os
import sys
from contextlib import suppress
from typing import Annotated, Final

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import (
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    ImageContent,
    JSONRPCMessage,
    PromptReference,
    ResourceTemplateReference,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel

_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
_SILENCE: Final = base64.b64encode(b"RIFF\x24\0\0\0WAVEfmt ").decode()
_RETRY_MS: Final = 100
_READS: Final = ToolAnnotations(read_only_hint=True)

server: Final = MCPServer("jotgate-test-server", instructions="For tests.", version="1.0.0", log_level="ERROR")
_cancelled: Final[list[str]] = []


class _Events(EventStore):
    """What was sent on each stream, for clients that come back to one."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event; its number from 1 is its name."""
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send again what came behind one on the same stream."""
        at = int(last_event_id)
        if not 0 < at <= len(self._sent):
            return None
        stream = self._sent[at - 1][0]
        for number, (of_stream, message) in enumerate(self._sent[at:], at + 1):
            if of_stream == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class _Name(BaseModel):
    name: str


@server.tool(annotations=_READS)
def test_simple_text() -> str:
    """Answer with a text."""
    return "This is a simple text response for testing."


@server.tool(annotations=_READS)
def test_image_content() -> list[ImageContent]:
    """Answer with an image."""
    return [ImageContent(data=_PIXEL, mime_type="image/png")]


@server.tool()
def test_audio_content() -> list[AudioContent]:
    """Answer with a sound."""
    return [AudioContent(data=_SILENCE, mime_type="audio/wav")]


@server.tool()
def test_embedded_resource() -> list[EmbeddedResource]:
    """Answer with a resource."""
    return [_resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool()
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answer with several things at once."""
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=_PIXEL, mime_type="image/png"),
        _resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ]


@server.tool()
async def test_tool_with_logging(ctx: Context) -> str:
    """Say something in the log meanwhile."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(said)
    return "Tool with logging executed successfully"


@server.tool()
async def test_tool_with_progress(ctx: Context) -> str:
    """Tell how far it has come."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
    return "done"


@server.tool()
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the client's model."""
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    result = await ctx.session.create_message(messages=[message], max_tokens=100)
    return f"LLM response: {getattr(result.content, 'text', '')}"


@server.tool()
async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the client's user, in the older era."""
    result = await ctx.elicit(message=message, schema=_Name)
    return f"User response: action={result.action}"


def _ask_for_name() -> Elicit[_Name]:
    return Elicit("What is your name?", _Name)


@server.tool()
async def test_input_required_result_elicitation(name: Annotated[_Name, Resolve(_ask_for_name)]) -> str:
    """Ask the client's user, in either era."""
    return f"Hello, {name.name}!"


@server.tool()
async def test_streaming_elicitation(name: Annotated[_Name, Resolve(_ask_for_name)]) -> str:
    """Ask the client's user amid a stream."""
    return name.name


@server.tool()
async def test_logging_tool(ctx: Context) -> str:
    """Say something that nobody has asked for."""
    await ctx.info("said")
    return "done"


@server.tool()
def greet(name: str = "nobody") -> str:
    """Greet at once."""
    return f"Hello, {name}!"


@server.tool()
async def slow_compute(seconds: float = 0, label: str = "") -> str:
    """Answer when so much time has passed."""
    await _pass(seconds)
    return label or "done"


@server.tool()
async def test_trigger_tool_change(ctx: Context) -> str:
    """Say that the tools have changed."""
    await ctx.notify_tools_changed()
    return "changed"


@server.tool()
async def test_trigger_prompt_change(ctx: Context) -> str:
    """Say that the prompts have changed."""
    await ctx.notify_prompts_changed()
    return "changed"


@server.tool()
def test_error_handling() -> str:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@server.tool()
async def test_reconnection(ctx: Context) -> str:
    """Close the stream amid the call: the client comes back for the rest."""
    await ctx.info("Before disconnect")
    await ctx.close_sse_stream()
    await _pass(2 * _RETRY_MS / 1_000)
    await ctx.info("After reconnect")
    return "Reconnection test completed"


@server.tool(annotations=_READS)
def big(size: int) -> str:
    """Answer with so many characters."""
    return "x" * size


@server.tool()
async def wait(ctx: Context, name: str) -> str:
    """Wait until nobody wants the answer any more."""
    await ctx.report_progress(0, 1, "waiting")
    try:
        await _pass(60)
    except asyncio.CancelledError:
        _cancelled.append(name)
        raise
    return "nobody came"


@server.tool(annotations=_READS)
def cancelled() -> str:
    """Tell which calls were cancelled."""
    return json.dumps(_cancelled)


@server.tool(annotations=_READS)
def environment() -> str:
    """Tell what this process has been told: the names of its variables, and its number."""
    return json.dumps({"names": sorted(os.environ), "pid": os.getpid()})


@server.tool()
async def grow(ctx: Context, name: str) -> str:
    """Have one tool more from now on."""
    server.add_tool(test_simple_text, name=name)
    await ctx.notify_tools_changed()
    return name


@server.tool()
def crash() -> str:
    """End this process at once."""
    os._exit(3)


@server.resource("test://static-text")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """An image."""
    return base64.b64decode(_PIXEL)


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 - the template calls it so
    """A resource for each id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.prompt()
def test_simple_prompt() -> list[UserMessage]:
    """A prompt."""
    return [UserMessage(TextContent(text="This is a simple prompt for testing."))]


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """A prompt with arguments."""
    return [UserMessage(TextContent(text=f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite calls it so
    """A prompt with a resource in it."""
    return [UserMessage(_resource(resourceUri, "text/plain", "Embedded resource content for testing."))]


@server.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    """A prompt with an image in it."""
    return [UserMessage(ImageContent(data=_PIXEL, mime_type="image/png"))]


@server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
async def complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> Completion:
    """What an argument may be."""
    return Completion(values=[f"{argument.value}…"], total=1, has_more=False)


async def _pass(seconds: float) -> None:
    """Take so long: this is a server that does."""
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), seconds)


def _resource(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def main(arguments: list[str]) -> None:
    """Serve over the pipes of this process, or at a port of 127.0.0.1."""
    if arguments[0] == "stdio":
        server.run("stdio")
        return
    application = server.streamable_http_app(event_store=_Events(), retry_interval=_RETRY_MS)
    uvicorn.run(application, host="127.0.0.1", port=int(arguments[1]), log_level="error", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main(sys.argv[1:])
