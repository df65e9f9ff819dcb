"""Wrong tokens about the signature and the serialization: rows B01 to B09 of the attack list."""

from collections.abc import Iterator
from itertools import product
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from jotgate.errors import Code
from jotgate.jose.algorithms import Ecdsa
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.testing.forge import Forge, to_json

_PBES2: Final = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "c2FsdA"}
_ENCRYPTED: Final[dict[str, dict[str, object]]] = {
    "C08_bomb": {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
    **{f"C09_p2c_{n}": {**_PBES2, "p2c": p2c} for n, p2c in enumerate((2**31, 0, -1, "4096", 1.5, None))},
    "C11_rsa1_5": {"alg": "RSA1_5", "enc": "A128CBC-HS256", "cty": "JWT"},
    "C11_plain_within": {"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT"},
    "C12_swapped": {"alg": "dir", "enc": "A128CBC-HS256"},
}
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def rows(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Each wrong token as (name, token, code)."""
    token = forge.with_claims()
    yield from _forms(token)
    yield from _serializations(token)
    yield from _signatures(forge, token)
    if isinstance(forge.key.algorithm.scheme, Ecdsa):
        yield from _ecdsa(forge.key.algorithm.scheme, token)


def _forms(token: bytes) -> Iterator[tuple[str, bytes, Code]]:
    header, payload, signature = token.split(b".")
    forms = {
        "B01_two_parts": header + b"." + payload,
        "B01_one_part": header,
        "B01_only_dots": b"..",
        "B01_four_parts": token + b".",
        "B05_padding": token + b"==",
        "B05_padding_within": header + b"=." + payload + b"." + signature,
        "B05_plus": header + b"." + payload + b"." + b"+" + signature[1:],
        "B05_slash": header + b"." + payload + b"." + b"/" + signature[1:],
        "B05_question_mark": token + b"?",
        "B05_encoded_dots": token.replace(b".", b"%2E"),
        "B05_encoded_dot_within": header + b"." + payload + b"%2E." + signature,
        "B05_tail_bits": header + b"." + payload + b"." + _with_tail_bits(signature),
        "B05_impossible_length": header + b"." + payload + b"." + signature[: len(signature) // 4 * 4] + b"A",
        "D10_long": token + b"A" * 16_384,
        "D10_dots": b"." * 8_000,
    }
    for name, form in forms.items():
        yield name, form, Code.TOKEN_MALFORMED
    yield "C11_five_parts", b".".join((header, b"a2V5", b"aXY", payload, signature)), Code.TOKEN_ENCRYPTED
    for name, members in _ENCRYPTED.items():
        jwe_header = b64url_encode(to_json(members))
        yield f"{name}_encrypted", jwe_header + b".a2V5.aXY." + payload + b"." + signature, Code.TOKEN_ENCRYPTED


def _serializations(token: bytes) -> Iterator[tuple[str, bytes, Code]]:
    header, payload, signature = (part.decode() for part in token.split(b"."))
    one = {"protected": header, "signature": signature}
    bad = {"protected": header, "signature": "AA"}
    forms = {
        "B06_flattened": to_json({"payload": payload} | one),
        "B06_flattened_unprotected": to_json({"payload": payload, "header": {"alg": "none"}, "signature": ""}),
        "B06_general": to_json({"payload": payload, "signatures": [one]}),
        "B06_general_without_signatures": to_json({"payload": payload, "signatures": []}),
        "B06_general_bad_and_good": to_json({"payload": payload, "signatures": [bad, one]}),
        "B07_json_around": b'{"a":"' + token + b'"}',
        "B07_json_before": b'{"a":1}' + token,
        "B07_json_in_header": b'{"' + token,
        "B07_quoted": b'"' + token + b'"',
    }
    for name, form in forms.items():
        yield name, form, Code.TOKEN_MALFORMED


def _signatures(forge: Forge, token: bytes) -> Iterator[tuple[str, bytes, Code]]:
    header, payload, signature = token.split(b".")
    raw = b64url_decode(signature)
    other = forge.with_claims(sub="bob").split(b".")
    flipped = bytearray(b64url_decode(payload))
    flipped[-3] ^= 1
    signatures = {
        "B01_empty": b"",
        "B02_zeros": bytes(len(raw)),
        "B03_shorter": raw[:-1],
        "B03_longer": raw + b"\0",
        "B03_leading_zero": b"\0" + raw,
        "B03_twice": raw + raw,
        "B09_first_bit": bytes((raw[0] ^ 0x80, *raw[1:])),
        "B09_last_bit": bytes((*raw[:-1], raw[-1] ^ 1)),
        "B09_other_token": b64url_decode(other[2]),
    }
    for name, value in signatures.items():
        yield name, b".".join((header, payload, b64url_encode(value))), Code.SIGNATURE_INVALID
    changed = b".".join((header, b64url_encode(bytes(flipped)), signature))
    yield "B09_payload_bit", changed, Code.SIGNATURE_INVALID
    yield "B09_other_payload", b".".join((header, other[1], signature)), Code.SIGNATURE_INVALID
    yield "B09_swapped", b".".join((payload, header, signature)), Code.TOKEN_MALFORMED


def _ecdsa(scheme: Ecdsa, token: bytes) -> Iterator[tuple[str, bytes, Code]]:
    signing_input, _, signature = token.rpartition(b".")
    raw = b64url_decode(signature)
    size, order = scheme.size, scheme.order
    good_r, good_s = int.from_bytes(raw[:size]), int.from_bytes(raw[size:])
    r_values = {"good": good_r, "zero": 0, "n": order, "n1": order + 1, "p": scheme.prime, "max": 256**size - 1}
    s_values = r_values | {"good": good_s}
    for (r_name, r), (s_name, s) in product(r_values.items(), s_values.items()):
        if (r_name, s_name) in (("good", "good"), ("zero", "zero")):
            continue  # the good one, and B02_zeros
        forged = b64url_encode(r.to_bytes(size) + s.to_bytes(size))
        yield f"B02_r_{r_name}_s_{s_name}", signing_input + b"." + forged, Code.SIGNATURE_INVALID
    der = b64url_encode(encode_dss_signature(good_r, good_s))
    yield "B03_der", signing_input + b"." + der, Code.SIGNATURE_INVALID


def _with_tail_bits(signature: bytes) -> bytes:
    """The same bytes in another base64url form: a bit set that decoders ignore.

    A length that leaves no unused bits gets two characters more, whose unused bits are set.
    """
    if len(signature) % 4 == 0:
        return signature + b"AB"
    return signature[:-1] + _ALPHABET[_ALPHABET.index(signature[-1]) + 1 :][:1]
