"""What `jotgate up` says of the faces that it serves: where each is, what it lacks, and a command to try it with."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jotgate.assembly.supervisor import ServedFace

_ALGORITHM: Final = "HS256"
_SECRET: Final = "JWT_SECRET_KEY"


def face_lines(faces: "Sequence[ServedFace]", curl: str) -> Iterator[str]:
    """The lines, after an empty one; none without faces. `curl` is that command, with what it needs to trust us."""
    for face in faces:
        preset = face.preset
        yield f"The preset {preset.name} serves {face.url}"
        yield from (f"  {one}" for one in preset.missing)
        yield f"  {curl} {EXAMPLES[preset.name](face)}"
        yield ""


def _prompt_chain(face: "ServedFace") -> str:
    """A chat completion, with a token as the system's own script makes it."""
    rules, (issuer,) = face.preset.rules, _issuers(face)
    words = [sys.executable, "-m", "jotgate.sdk.generate_jwt"]
    secret, algorithm = str(issuer.get("secret_env", _SECRET)), _first(issuer.get("algorithms")) or _ALGORITHM
    words += ["--algorithm", algorithm] if algorithm != _ALGORITHM else []
    command = shlex.join(words) + (f' --secret "${secret}"' if secret != _SECRET else "")
    body = f'{{"model":"{getattr(rules, "model", "")}","messages":[{{"role":"user","content":"hello"}}]}}'
    headers = f'-H "Authorization: Bearer $({command})" -H "Content-Type: application/json"'
    return f"{face.url}/v1/chat/completions {headers} -d {shlex.quote(body)}"


def _api_gateway(face: "ServedFace") -> str:
    """The keys by which others verify its tokens."""
    return f"{face.url}/.well-known/jwks.json"


def _issuers(face: "ServedFace") -> list[Mapping[str, object]]:
    found = face.preset.tables.get("issuers")
    return found if isinstance(found, list) else []


def _first(value: object) -> str:
    return str(value[0]) if isinstance(value, list) and value else ""


EXAMPLES: "Final[Mapping[str, Callable[[ServedFace], str]]]" = MappingProxyType(
    {"prompt-chain": _prompt_chain, "api-gateway": _api_gateway}
)
"""What stands behind `curl`, by the name of the preset."""
