"""Whatever is sent to an OAuth endpoint is answered, never with a failure, and a refusal never repeats it."""

import asyncio
import base64
import json
from typing import Final
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.client_proofs import ASSERTION_TYPE
from jotgate.core.grants import GRANT_TYPES
from jotgate.core.oauth_form import FORM_TYPE, PARAMETERS_MAX, read_form
from jotgate.errors import OAuthMalformed
from jotgate.services.families import FamilyTerms
from tests.callers import NAME
from tests.token_stage import SECRET, TokenStage, assertion, basic, client, key_client

PATHS: Final = ("/oauth/token", "/oauth/revoke", "/oauth/introspect")
NAMES: Final = (
    "grant_type",
    "scope",
    "resource",
    "audience",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "token",
    "token_type_hint",
)


@pytest.fixture(scope="module")
def stage() -> TokenStage:
    """One service for all examples: what is asked of it changes nothing that matters."""
    found = TokenStage()
    for one in (client(), client("other", authentication="client_secret_post"), key_client()):
        found.put(one)
    return found


def texts(stage: TokenStage) -> st.SearchStrategy[str]:
    """Anything, and what means something somewhere."""
    terms = FamilyTerms(client_id="ci", subject="ci", scopes=("ai",), audiences=(NAME,))
    known = [
        *GRANT_TYPES,
        ASSERTION_TYPE,
        assertion(),
        assertion(aud=""),
        stage.token(),
        stage.keys.with_claims(aud="").decode(),
        asyncio.run(stage.families.begin(terms)).token.reveal(),
        "jot_r_" + "A" * 43,
        SECRET,
        NAME,
        "https://[",
        *("ci", "other", "robot", "nobody", "ai", "ai  ai", "admin:*", "\0", "a" * 3_000, "..", "a.b.c"),
    ]
    return st.sampled_from(known) | st.text(max_size=60)


@given(data=st.data())
def test_forms_of_known_parameters_with_any_values(stage: TokenStage, data: st.DataObject) -> None:
    form = data.draw(st.dictionaries(st.sampled_from(NAMES), texts(stage), max_size=8))
    name = data.draw(st.just("ci") | st.none() | texts(stage))
    fields = {} if name is None else {"authorization": basic(name)}
    body = urlencode(form, errors="replace").encode()
    answer = stage.post(data.draw(st.sampled_from(PATHS)), body, **fields)
    assert answer.status_code in (200, 400, 401)
    if answer.status_code != 200:
        said = answer.json()
        assert set(said) == {"error", "error_description", "code"}
        assert SECRET not in said["error_description"]


@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=300) | st.text("&=%+ab0;\0", max_size=100).map(str.encode),
    kind=st.sampled_from([FORM_TYPE, FORM_TYPE + ";charset=utf-8", "", "text/plain"]) | st.text(max_size=40),
    authorization=st.binary(max_size=60) | st.binary(max_size=60).map(lambda one: b"Basic " + base64.b64encode(one)),
)
def test_any_octets(stage: TokenStage, path: str, body: bytes, kind: str, authorization: bytes) -> None:
    headers = [
        (b"content-type", kind.encode("utf-8", "replace").translate(None, _CONTROLS).strip()),
        (b"authorization", authorization.translate(None, _CONTROLS).strip()),
    ]
    answer = stage.http.post(path, content=body, headers=headers)
    assert answer.status_code in (400, 401)


_CONTROLS: Final = bytes([*range(32), 127])


@given(pairs=st.lists(st.tuples(st.text(), st.text()), max_size=PARAMETERS_MAX, unique_by=lambda pair: pair[0]))
def test_a_form_says_what_was_written_into_it(pairs: list[tuple[str, str]]) -> None:
    kept = [(name, value) for name, value in pairs if (name + value).isprintable()]
    read = read_form(urlencode(kept).encode(), FORM_TYPE)
    assert {name: read.one(name) for name, _ in kept} == dict(kept)


@given(body=st.binary(max_size=200))
def test_a_form_is_read_or_refused(body: bytes) -> None:
    try:
        read = read_form(body, FORM_TYPE)
    except OAuthMalformed:
        return
    again = "&".join(
        f"{quote_from_bytes(name.encode())}={quote_from_bytes(value.encode())}"
        for name, found in read.values.items()
        for value in found
    )
    assert read_form(again.encode(), FORM_TYPE) == read
    assert json.dumps(list(read.values))
