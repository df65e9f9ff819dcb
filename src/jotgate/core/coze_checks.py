"""What an upstream of the kind `coze` may not say although each setting is of its type."""

import re
from typing import Final

from jotgate.core.config import UpstreamEntry
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
