"""What settings may not say of upstreams of the kind `coze` although each is of its type."""

import re
from collections.abc import Mapping
from typing import Final

from jotgate.core.chain_entries import ChainEntry
from jotgate.core.config import RouteEntry, UpstreamEntry
from jotgate.core.coze_aims import BOT, WORKFLOW
from jotgate.core.faults import Fault, shown

_NAME: Final = re.compile(rf"(?:{BOT}|{WORKFLOW})[A-Za-z0-9_-]{{1,128}}", re.ASCII)


def check_coze(path: str, entry: UpstreamEntry) -> list[Fault]:
    """The faults of one `[[upstreams]]` of this kind, whose path is given: what its models are at Coze."""
    remedy = (
        f'write a table such as {{ "gpt-3.5-turbo" = "{BOT}7300000000000000001" }}, or "{WORKFLOW}…" for a workflow'
    )
    wrong = [name for name in entry.routes.values() if _NAME.fullmatch(name) is None]
    return [(f"{path}.models", f"has {shown(name)}, which is neither a bot nor a workflow; {remedy}") for name in wrong]


def check_steps(
    chains: Mapping[str, ChainEntry], upstreams: Mapping[str, UpstreamEntry], routes: Mapping[str, RouteEntry]
) -> list[Fault]:
    """The faults of steps of chains that would be bots or workflows: what Coze keeps of these would be nobody's."""
    names = {one.name for one in upstreams.values() if one.kind == "coze"}
    aliases = {alias for one in upstreams.values() if one.kind == "coze" for alias in one.routes}
    aliases |= {one.alias for one in routes.values() if any(two.upstream in names for two in one.attempts)}
    return [
        (f"{path}.steps[{index}].model", f"is {shown(step.model)}, which is at Coze; a step of a chain cannot be there")
        for path, chain in chains.items()
        for index, step in enumerate(chain.steps)
        if step.upstream in names or (not step.upstream and step.model in aliases)
    ]
