"""What `jotgate up` says of the faces that it serves: where each is, what it lacks, and a command to try it with."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jotgate.assembly.supervisor import ServedFace

Command = Callable[..., str]
"""A command of jotgate on this DATA, of its words, as it is pasted into a shell."""

_ALGORITHM: Final = "HS256"
_SECRET: Final = "JWT_SECRET_KEY"
_HELLO: Final = '{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"Hello!"}]}'
_JOHN: Final = '{"sub":"user_123","name":"John Doe","email":"john@example.com","roles":["user","api_access"]}'
_MY_CALL: Final = '{"tool": "chat", "arguments": {"message": "Hello, EX-AI!"}}'
_MY_TOKEN: Final = '{"token_name": "my_token"}'
_ALL_OF_COZE: Final = ("--scope", "ai", "--scope", "upstream:credentials")
OPEN: Final = (
    "OPEN: it looks at no credential (--open-local). Whoever can reach this machine's loopback is its one user "
    "'local', and may have the live token of Coze"
)
"""The banner of a face that looks at no credential."""


def face_lines(faces: "Sequence[ServedFace]", curl: str, command: Command) -> Iterator[str]:
    """The lines, after an empty one; none without faces.

    `curl` is that command, with what it needs to trust us.
    """
    for face in faces:
        preset = face.preset
        yield f"The preset {preset.name} serves {face.url}"
        yield from (f"  {one}" for one in preset.missing)
        if _is_open(face):
            yield f"  {OPEN}"
        yield from (f"  {curl} {one}" for one in EXAMPLES[preset.name](face, command))
        yield ""


def _prompt_chain(face: "ServedFace", command: Command) -> Sequence[str]:  # noqa: ARG001 - its tokens are not ours
    """A chat completion, with a token as the system's own script makes it."""
    rules, (issuer,) = face.preset.rules, _issuers(face)
    words = [sys.executable, "-m", "jotgate.sdk.generate_jwt"]
    secret, algorithm = str(issuer.get("secret_env", _SECRET)), _first(issuer.get("algorithms")) or _ALGORITHM
    words += ["--algorithm", algorithm] if algorithm != _ALGORITHM else []
    generate = shlex.join(words) + (f' --secret "${secret}"' if secret != _SECRET else "")
    body = f'{{"model":"{getattr(rules, "model", "")}","messages":[{{"role":"user","content":"hello"}}]}}'
    headers = f'-H "Authorization: Bearer $({generate})" -H "Content-Type: application/json"'
    return (f"{face.url}/v1/chat/completions {headers} -d {shlex.quote(body)}",)


def _api_gateway(face: "ServedFace", command: Command) -> Sequence[str]:
    """The keys by which others verify its tokens; and a login, by a client that is made for it."""
    client = f"{command('client', 'create', '--grant', 'login')} | sed 's/^[a-z_]*=//' | paste -sd : -"
    body = f'-H "Content-Type: application/json" -d {shlex.quote(_JOHN)}'
    return (f"{face.url}/.well-known/jwks.json", f'-u "$({client})" {face.url}/api/auth/login {body}')


def _coze_proxy(face: "ServedFace", command: Command) -> Sequence[str]:
    """The lines of the document, with a token where one is looked at; and a chat completion."""
    create = command("token", "create", "--subject", "me", *_ALL_OF_COZE)
    token = "" if _is_open(face) else f' -H "Authorization: Bearer $({create})"'
    chat = f'{token} -H "Content-Type: application/json" -d {shlex.quote(_HELLO)}'
    return (
        f"{face.url}/get_jwt{token}",
        f"-X POST {face.url}/refresh_jwt{token}",
        f"-X DELETE {face.url}/clear_jwt{token}",
        f"{face.url}/health{token}",
        f"{face.url}/v1/chat/completions{chat}",
    )


def _kong_auth(face: "ServedFace", command: Command) -> Sequence[str]:  # noqa: ARG001 - its tokens are Casdoor's
    """The line of the document, with a token of Casdoor."""
    token = '-H "Authorization: Bearer $CASDOOR_TOKEN" -H "Content-Type: application/json"'
    return (f"-X POST {face.url}/generate-token-auto {token} -d {shlex.quote(_MY_TOKEN)}",)


def _mcp_daemon(face: "ServedFace", command: Command) -> Sequence[str]:  # noqa: ARG001 - its tokens are not ours
    """The lines of the document, with a token of one's own."""
    token = '-H "Authorization: Bearer $JWT_TOKEN" -H "Content-Type: application/json"'
    return (f"-X POST {face.url}/validate {token}", f"-X POST {face.url}/call {token} -d {shlex.quote(_MY_CALL)}")


def _is_open(face: "ServedFace") -> bool:
    return bool(getattr(face.preset.rules, "open_local", False))


def _issuers(face: "ServedFace") -> list[Mapping[str, object]]:
    found = face.preset.tables.get("issuers")
    return found if isinstance(found, list) else []


def _first(value: object) -> str:
    return str(value[0]) if isinstance(value, list) and value else ""


EXAMPLES: "Final[Mapping[str, Callable[[ServedFace, Command], Sequence[str]]]]" = MappingProxyType(
    {
        "prompt-chain": _prompt_chain,
        "api-gateway": _api_gateway,
        "coze-proxy": _coze_proxy,
        "kong-auth": _kong_auth,
        "mcp-daemon": _mcp_daemon,
    }
)
"""What stands behind `curl` in each line, by the name of the preset."""
