"""Sends messages in the session that callers share with a server of the older era, and begins anew when it is over.

A server that says so has not done what it was asked, so it is asked again, once.
"""

from functools import partial

from msgspec.structs import replace

from jotgate.core.mcp_eras import Conversation
from jotgate.errors import UpstreamError, UpstreamFailed
from jotgate.gateway.mcp_means import Means, say
from jotgate.gateway.mcp_relay import McpRelay, Plan
from jotgate.gateway.mcp_talk import Talk, plan_to_legacy


def plan_shared(means: Means, talk: Talk, conversation: Conversation, settled: Plan) -> Plan:
    """How a message is sent there. `settled` is what all plans of the gateway share."""
    send = partial(say, means, talk.place, talk.asker)
    plan = plan_to_legacy(talk, conversation, settled, send)
    return replace(plan, renews=partial(_renew, means, talk, conversation, settled) if conversation.session else None)


def _renew(means: Means, talk: Talk, conversation: Conversation, settled: Plan, relay: McpRelay) -> None:
    talk.peer.forget(conversation)
    means.spawn(_send_again(means, talk, settled, relay))


async def _send_again(means: Means, talk: Talk, settled: Plan, relay: McpRelay) -> None:
    try:
        conversation = await talk.peer.converse(talk.place, talk.asker)
        if conversation.era != "legacy":
            raise UpstreamFailed("the server is of another era than a moment ago; ask again")
    except UpstreamError as error:
        relay.failed(error, False)
        return
    relay.send_again(replace(plan_shared(means, talk, conversation, settled), renews=None))
