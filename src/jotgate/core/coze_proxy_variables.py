"""Reads the variables of the Coze proxy (docs/systems/coze-proxy.md): what its preset makes of them."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from jotgate.core.coze_aims import BOT, MODES, WORKFLOW, Mode
from jotgate.core.coze_proxy import ANY, COZE_PROXY, UPSTREAM, CozeProxyRules
from jotgate.core.coze_sessions import is_label
from jotgate.core.edge_checks import origin_fault
from jotgate.core.face_listeners import find_listen
from jotgate.core.faults import Fault, shown
from jotgate.core.preset_entries import CozeProxyEntry
from jotgate.core.preset_variables import find_variable, read_choice, read_flag, read_list
from jotgate.core.presets import Preset, Tables
from jotgate.core.prompt_chain import ANY_ORIGIN, Pages
from jotgate.core.routes import CredentialPlace

_LISTEN: Final = ("127.0.0.1", 3000)
_NO_TABLES: Final[Tables] = {}
_TOKEN_PATH: Final = "/api/permission/oauth2/token"
API_KEY: Final = "COZE_API_KEY"
PRIVATE_KEY: Final = "COZE_JWT_PRIVATE_KEY"
JWT: Final = ("COZE_JWT_APP_ID", "COZE_JWT_KEY_ID", PRIVATE_KEY)
"""Without one of these no JWT is configured; the audience is the service's host where COZE_JWT_AUD is not set."""
NEXT_KEY: Final = ("COZE_JWT_NEXT_KEY_ID", "COZE_JWT_NEXT_PRIVATE_KEY")
"""A second key pair, for the time in which both are registered; beside the original's."""
ALIASES: Final = ("gpt-3.5-turbo", "gpt-4")
"""The models of the original: what is asked where nothing is named."""
_PLACES: Final[Mapping[str, CredentialPlace]] = {"x-api-key": "x-api-key", "api-key": "api-key"}
_KEYS: Final = frozenset({"credential_env", "credential_file", "credential"})
_UNUSED: Final = {
    "COZE_BASE_WS_URL": "no WebSocket is opened towards Coze",
    "COZE_SPACE_ID": "nothing here asks Coze for what is in a workspace",
}
_METHODS: Final = ("GET", "HEAD", "POST", "DELETE")


def read_coze_proxy(
    variables: Mapping[str, str], shipped: Tables, entry: CozeProxyEntry, own: Tables = _NO_TABLES
) -> Preset:
    """What the preset comes to. `shipped` is its file, `own` the operator's document, `entry` what that says of it."""
    listening = find_listen(variables, ("HOST", "PORT"), _LISTEN, "coze_proxy.listen", entry.listen)
    faults: list[Fault] = list(listening.faults)
    warnings: list[str] = []
    mode: Mode = next(
        one for one in MODES if one == (read_choice(variables, ("DEFAULT_MODEL_TYPE",), faults, MODES) or "chat")
    )
    rules = CozeProxyRules(
        default_mode=mode,
        bot_id=_text(variables, "COZE_BOT_ID"),
        workflow_id=_text(variables, "COZE_WORKFLOW_ID"),
        bots=entry.bots,
        workflows=entry.workflows,
        label=_find_label(variables, faults),
        open_local=entry.open_local,
        pages=_find_pages(variables, faults, warnings, open_local=entry.open_local),
        credentials=_find_places(variables, warnings),
    )
    table = _own_upstream(own)
    upstream = _lay_over(shipped, variables, rules) if table is None else table
    warnings += _warn(variables, rules, faults)
    return Preset(
        name=COZE_PROXY,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=_with_credentials(rules, upstream, variables),
        tables={
            "upstreams": [upstream],
            **({"logs": {"level": "debug"}} if read_flag(variables, ("ENABLE_LOGGING",), faults) else {}),
        },
        missing=tuple(_missing(variables)) if table is None else (),
        faults=tuple(dict.fromkeys(faults)),
        warnings=tuple(warnings),
    )


def _text(variables: Mapping[str, str], name: str) -> str:
    found = find_variable(variables, (name,))
    return found[1] if found else ""


def _find_label(variables: Mapping[str, str], faults: list[Fault]) -> str:
    label = _text(variables, "COZE_JWT_SESSION_NAME") or CozeProxyRules().label
    if not is_label(label):
        faults.append(("COZE_JWT_SESSION_NAME", f"is {shown(label)}, and must be 1 to 128 printable characters"))
    return label


def _own_upstream(own: Tables) -> Mapping[str, object] | None:
    """The operator's own table for Coze, which stands in place of the preset's."""
    entries = own.get("upstreams")
    listed = [one for one in (entries if isinstance(entries, list) else []) if isinstance(one, Mapping)]
    return next((one for one in listed if one.get("name") == UPSTREAM), None)


def _lay_over(shipped: Tables, variables: Mapping[str, str], rules: CozeProxyRules) -> Mapping[str, object]:
    """The upstream of the preset's file with what the variables say of it."""
    entries = shipped.get("upstreams")
    table: dict[str, object] = dict(entries[0]) if isinstance(entries, list) else {}
    base_url = (_text(variables, "COZE_BASE_URL") or str(table.get("base_url", ""))).rstrip("/")
    table["base_url"] = base_url
    if models := dict(_models(rules)):
        table["models"] = models
    if all(_text(variables, name) for name in JWT):
        table["oauth"] = _oauth(variables, base_url)
    elif _text(variables, API_KEY) and not any(_text(variables, name) for name in JWT):
        table["credential_env"] = API_KEY
    return table


def _oauth(variables: Mapping[str, str], base_url: str) -> Mapping[str, str]:
    """How the tokens are got: `[upstreams.oauth]`."""
    app, key_id, key = JWT
    found = {
        "grant": "coze",
        "token_url": base_url + _TOKEN_PATH,
        "client_id": _text(variables, app),
        "key_id": _text(variables, key_id),
        "private_key_env": key,
        "audience": _text(variables, "COZE_JWT_AUD") or urlsplit(base_url).netloc,
    }
    if all(_text(variables, name) for name in NEXT_KEY):
        found |= {"next_key_id": _text(variables, NEXT_KEY[0]), "next_private_key_env": NEXT_KEY[1]}
    return found


def _models(rules: CozeProxyRules) -> Iterator[tuple[str, str]]:
    """The aliases: the original's for what is usual, and a name for each bot and workflow that may be named."""
    bot, workflow = (
        BOT + rules.bot_id if rules.bot_id else "",
        WORKFLOW + rules.workflow_id if rules.workflow_id else "",
    )
    usual = workflow if rules.default_mode == "workflow" else bot
    if usual:
        yield from ((alias, usual) for alias in ALIASES)
    listed = [BOT + one for one in rules.bots if one != ANY] + [WORKFLOW + one for one in rules.workflows if one != ANY]
    yield from ((name, name) for name in dict.fromkeys([bot, workflow, *listed]) if name)


def _with_credentials(
    rules: CozeProxyRules, upstream: Mapping[str, object], variables: Mapping[str, str]
) -> CozeProxyRules:
    has_key = bool(_text(variables, API_KEY)) or not _KEYS.isdisjoint(upstream)
    return replace(rules, has_jwt="oauth" in upstream, has_api_key=has_key)


def _missing(variables: Mapping[str, str]) -> Iterator[str]:
    lacking = [name for name in JWT if not _text(variables, name)]
    if not lacking:
        return
    if len(lacking) < len(JWT):
        yield (
            f"JWT configuration not provided: {' and '.join(lacking)} must be set too, and {API_KEY} is not used in "
            "place of a JWT that is half configured"
        )
    elif not _text(variables, API_KEY):
        yield f"Neither JWT configuration nor API key provided: set {', '.join(JWT)}, or {API_KEY}"


def _warn(variables: Mapping[str, str], rules: CozeProxyRules, faults: list[Fault]) -> Iterator[str]:
    wanted, known = ("COZE_WORKFLOW_ID", rules.workflow_id)
    if rules.default_mode != "workflow":
        wanted, known = ("COZE_BOT_ID", rules.bot_id)
    if not known:
        yield f"{wanted} is not set, so that each call must name one itself (docs/systems/coze-proxy.md)"
    for name, why in _UNUSED.items():
        if _text(variables, name):
            yield f"{name} is not used: {why}"
    given = [name for name in NEXT_KEY if _text(variables, name)]
    if len(given) == 1:
        faults.append((given[0], f"is set, and {next(name for name in NEXT_KEY if name not in given)} is not"))


def _find_pages(variables: Mapping[str, str], faults: list[Fault], warnings: list[str], *, open_local: bool) -> Pages:
    """The pages that may read answers: those that are listed, none of everywhere where no credential is looked at."""
    enabled = read_flag(variables, ("ENABLE_CORS",), faults)
    origins = read_list(variables, ("ALLOWED_ORIGINS",), faults) or ()
    faults += [
        ("ALLOWED_ORIGINS", f"holds {shown(one)}; {fault}")
        for one in origins
        if one != ANY_ORIGIN and (fault := origin_fault(one))
    ]
    if enabled is False:
        return Pages()
    if ANY_ORIGIN not in origins:
        return Pages(origins, methods=_METHODS)
    if not open_local:
        return Pages((ANY_ORIGIN,), methods=_METHODS)
    warnings.append(
        "ALLOWED_ORIGINS lets pages of every origin in, and --open-local looks at no credential, so it is not used: "
        "any page that is open in a browser here could speak to Coze; name the origins"
    )
    return Pages()


def _find_places(variables: Mapping[str, str], warnings: list[str]) -> tuple[CredentialPlace, ...]:
    """Where a call may carry its token beside the Authorization header."""
    name = _text(variables, "API_KEY_HEADER")
    if not name or name.lower() == "authorization":
        return ()
    if name.lower() in _PLACES:
        return (_PLACES[name.lower()],)
    warnings.append(
        "API_KEY_HEADER is not used: a token is taken from Authorization, or from X-Api-Key or Api-Key where that is "
        "set, and from no other field"
    )
    return ()
