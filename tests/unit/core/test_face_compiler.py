"""What a preset and the settings make of a face: its issuers leave the native listener, with the keys that fit them."""

import tomllib
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.compiler import Materials, compile_snapshot
from jotgate.core.config_reader import parse
from jotgate.core.face_compiler import FaceParts, add_faces
from jotgate.core.issuers import Issuer
from jotgate.core.key_life import OwnKeys
from jotgate.core.preset_tables import lay_under
from jotgate.core.presets import Preset
from jotgate.core.price_table import PriceTable
from jotgate.core.prompt_chain import PromptChainRules
from jotgate.core.snapshot import Snapshot
from jotgate.jose.keys import KeySet, SigningKey, generate

_RSA: Final = generate("RS256")
_EC: Final = generate("ES256")
_OWN: Final = OwnKeys(
    KeySet([_RSA.verification_key, _EC.verification_key]).to_jwks(), ("ES256", "RS256"), {_RSA.kid: 7, _EC.kid: 9}
)
_FACE: Final = Preset(
    name="prompt-chain",
    listen=("127.0.0.1", 8000),
    listen_settings=("API_HOST", "API_PORT"),
    rules=PromptChainRules(),
    tables={
        "upstreams": [{"name": "theirs", "kind": "openai", "base_url": "http://127.0.0.1:1/v1", "models": ["m"]}],
        "issuers": [{"name": "chain", "profile": "prompt-chain", "secret_env": "S"}],
    },
    missing=("a key is missing",),
)


def issuer(name: str, iss: str, algorithm: str = "HS256") -> Issuer:
    """An issuer as it is compiled, without keys."""
    return Issuer(name=name, issuer=iss, audiences=(), algorithms=(algorithm,), types=("JWT",), jwks=None)


def compiled(preset: Preset = _FACE, settings: str = "") -> Snapshot:
    """A snapshot with the face, and the issuers `chain` and `idp`."""
    laid = lay_under(tomllib.loads(settings), [preset])
    config = parse(laid.document)
    snapshot = compile_snapshot(config, "http://i", _OWN, 1, Materials(brought=laid.brought))
    issuers = (*snapshot.issuers, issuer("chain", ""), issuer("idp", "https://idp.example"))
    parts = FaceParts({one.name: one for one in issuers}, _OWN, PriceTable())
    return add_faces(replace(snapshot, issuers=issuers), [preset], config, parts)


def test_what_a_preset_brings_is_its_face_s_and_not_native() -> None:
    snapshot = compiled()
    (face,) = snapshot.faces
    assert [one.name for one in face.issuers] == ["chain"]
    assert [one.name for one in snapshot.issuers] == ["jotgate", "idp"]
    assert [one.alias for one in face.routes] == ["m"]
    assert [one.alias for one in snapshot.routes] == ["echo"]
    assert {one.name for one in snapshot.upstreams} == {"echo", "theirs"}
    assert [one.name for one in snapshot.all_issuers] == ["jotgate", "idp", "chain"]
    assert snapshot.all_aliases == {"echo", "m"}
    assert (face.listen, face.missing) == (("127.0.0.1", 8000), ("a key is missing",))


def test_without_presets_a_snapshot_has_no_faces() -> None:
    config = parse({})
    snapshot = compile_snapshot(config, "http://i", _OWN, 1)
    assert add_faces(snapshot, [], config, FaceParts({}, _OWN, PriceTable())) == snapshot


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", _RSA), ("ES256", _EC)])
def test_an_issuer_whose_tokens_we_make_has_those_of_our_keys_that_are_for_its_algorithm(
    algorithm: str, key: SigningKey
) -> None:
    kid = key.kid
    own = issuer("made-here", "made-here", algorithm)
    (face,) = compiled(replace(_FACE, own_issuers=(own,))).faces
    first = face.issuers[0]
    assert first.jwks is not None
    assert [one.kid for one in KeySet.from_jwks(first.jwks).keys] == [kid]
    assert first.key_ends == {kid: _OWN.ends[kid]}


def test_one_for_which_there_is_no_key_yet_has_an_empty_set_and_one_with_keys_keeps_them() -> None:
    none = issuer("made-here", "made-here", "PS512")
    kept = replace(issuer("kept", "kept", "RS256"), jwks=b'{"keys":[]}')
    (face,) = compiled(replace(_FACE, own_issuers=(none, kept))).faces
    assert [one.jwks for one in face.issuers[:2]] == [b'{"keys":[]}', b'{"keys":[]}']


def test_a_face_is_treated_by_its_own_web_origins_and_the_gateway_s_proxies() -> None:
    settings = '[server]\ntrusted_proxies = ["10.0.0.0/8"]\n[cors]\norigins = ["https://native.example"]'
    (face,) = compiled(replace(_FACE, origins=("https://chain.example",)), settings).faces
    assert face.edge.origins == ("https://chain.example",)
    assert face.edge.trusted_proxies == ("10.0.0.0/8",)
    assert face.edge.credential_cookie == ""
