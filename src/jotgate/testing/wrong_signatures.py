"""Wrong tokens about the signature and the serialization: rows B01 to B10, and C08 to C12 encrypted."""

import zlib
from collections.abc import Iterator
from itertools import product
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from jotgate.errors import Code
from jotgate.jose.algorithms import Ecdsa, Rsa
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.jose.keys import signing_key_to_pem
from jotgate.testing.forge import Forge, to_json

_PBES2: Final = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2s": "c2FsdA"}
_ENCRYPTED: Final[dict[str, dict[str, object]]] = {
    "C08_bomb": {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
    "C08_unknown_zip": {"alg": "dir", "enc": "A256GCM", "zip": "GZ"},
    **{
        f"C09_p2c_{n}": {**_PBES2, "p2c": p2c}
        for n, p2c in enumerate((2**31, 2**63, 10**300, 0, -1, "4096", 1.5, 1e300, True, [4096], None))
    },
    "C09_hs384": {**_PBES2, "alg": "PBES2-HS384+A192KW", "p2c": 2**31},
    "C09_hs512": {**_PBES2, "alg": "PBES2-HS512+A256KW", "p2c": 2**31},
    "C09_long_salt": {**_PBES2, "p2s": "A" * 8_000, "p2c": 1},
    "C11_rsa1_5": {"alg": "RSA1_5", "enc": "A128CBC-HS256", "cty": "JWT"},
    "C11_plain_within": {"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT"},
    "C11_ecdh_off_curve": {
        "alg": "ECDH-ES",
        "enc": "A256GCM",
        "epk": {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"},
    },
    "C11_none": {"alg": "none", "enc": "none"},
    "C12_swapped": {"alg": "dir", "enc": "A128CBC-HS256"},
    "C12_no_enc": {"alg": "dir"},
    "C12_unknown_enc": {"alg": "dir", "enc": "A256CTR"},
}
_TAG_BYTES: Final = (0, 1, 4, 8, 12, 15, 16, 17)
_RSA_HASHES: Final = (SHA224(), SHA256(), SHA384(), SHA512())
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def rows(forge: Forge) -> Iterator[tuple[str, bytes, Code]]:
    """Each wrong token as (name, token, code)."""
    token = forge.with_claims()
    yield from _forms(token)
    yield from _serializations(token)
    yield from _signatures(forge, token)
    if isinstance(forge.key.algorithm.scheme, Ecdsa):
        yield from _ecdsa(forge.key.algorithm.scheme, token)
    if isinstance(forge.key.algorithm.scheme, Rsa):
        yield from _rsa(forge, token)


def _forms(token: bytes) -> Iterator[tuple[str, bytes, Code]]:
    header, payload, signature = token.split(b".")
    forms = {
        "B01_two_parts": header + b"." + payload,
        "B01_one_part": header,
        "B01_only_dots": b"..",
        "B01_four_parts": token + b".",
        "B01_dot_before": b"." + token,
        "B01_other_separator": token.replace(b".", b"~"),
        "B01_two_tokens": token + b"." + token,
        "B01_cut": header + b"." + payload[: len(payload) // 2],
        "B05_padding": token + b"==",
        "B05_padding_within": header + b"=." + payload + b"." + signature,
        "B05_plus": header + b"." + payload + b"." + b"+" + signature[1:],
        "B05_slash": header + b"." + payload + b"." + b"/" + signature[1:],
        "B05_question_mark": token + b"?",
        "B05_bang_within": header + b"." + payload + b"." + signature[:9] + b"!" + signature[9:],
        "B05_tilde_behind": token + b"~",
        "B05_escaped_letter": b"%%%02X" % header[0] + token[1:],
        "B05_escaped_padding": token + b"%3D",
        "B05_quotes": b'"' + token + b'"',
        "B05_angles": b"<" + token + b">",
        "B05_comma": token + b",",
        "B05_semicolon": token + b";",
        "B05_scheme_within": b"Bearer:" + token,
        "B05_hexadecimal": token.hex().encode(),
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
    for name, form in (
        ("B01_dots_doubled", token.replace(b".", b"..")),
        ("B01_two_tokens_by_tilde", token + b"~" + token),
        ("B05_comma_and_another", token + b"," + token),
    ):
        yield name, form, Code.TOKEN_ENCRYPTED  # Five parts look like a JWE, of which nothing is read.
    for name, members in _ENCRYPTED.items():
        jwe_header = b64url_encode(to_json(members))
        yield f"{name}_encrypted", jwe_header + b".a2V5.aXY." + payload + b"." + signature, Code.TOKEN_ENCRYPTED
    jwe_header = b64url_encode(to_json({"alg": "dir", "enc": "A256GCM"}))
    for size in _TAG_BYTES:
        jwe = b".".join((jwe_header, b"", b64url_encode(bytes(12)), payload, b64url_encode(bytes(size))))
        yield f"C12_tag_{size}_bytes", jwe, Code.TOKEN_ENCRYPTED
    yield "C12_all_empty", b"....", Code.TOKEN_ENCRYPTED
    bomb = b64url_encode(_deflate(bytes(8_000_000)))
    bomb_header = b64url_encode(to_json({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}))
    yield "C08_bomb_encrypted_for_real", bomb_header + b"..aXY." + bomb + b"." + signature, Code.TOKEN_ENCRYPTED


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
        "B06_general_good_and_bad": to_json({"payload": payload, "signatures": [one, bad]}),
        "B06_general_good_and_none": to_json({"payload": payload, "signatures": [one, {"header": {"alg": "none"}}]}),
        "B06_general_twice": to_json({"payload": payload, "signatures": [one, one]}),
        "B06_general_null": to_json({"payload": payload, "signatures": None}),
        "B06_flattened_and_general": to_json({"payload": payload, "signatures": [bad]} | one),
        "B06_flattened_with_header": to_json({"payload": payload, "header": {"alg": "none"}} | one),
        "B06_flattened_without_signature": to_json({"payload": payload, "protected": header}),
        "B06_flattened_crit_unprotected": to_json({"payload": payload, "header": {"crit": ["x"], "x": 1}} | one),
        "B06_of_compact": to_json({"payload": f"{header}.{payload}.{signature}"}),
        "B06_array": to_json([f"{header}.{payload}.{signature}"]),
        "B06_encrypted": to_json({"protected": header, "ciphertext": payload, "tag": signature, "iv": "aXY"}),
        "B07_json_around": b'{"a":"' + token + b'"}',
        "B07_json_before": b'{"a":1}' + token,
        "B07_json_in_header": b'{"' + token,
        "B07_json_behind": token + b'{"a":1}',
        "B07_json_with_compact_within": to_json({"a": f".{payload}.", "payload": payload} | one),
        "B07_compact_with_json_within": token.replace(b".", b'.{"alg":"none"}.', 1),
        "B07_braces": b"{" + token + b"}",
        "B07_three_parts_of_json": b'{"a":"b.c.d"}',
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
        "B09_reversed": raw[::-1],
        "B09_of_nothing": forge.key.sign(b""),
        "B09_of_header": forge.key.sign(header),
        "B09_of_payload": forge.key.sign(payload),
        "B09_of_decoded": forge.key.sign(b64url_decode(header) + b"." + b64url_decode(payload)),
        "B09_of_dot_behind": forge.key.sign(header + b"." + payload + b"."),
        "B03_hexadecimal": raw.hex().encode(),
        "B03_base64_twice": b64url_encode(raw),
        "B03_ones": b"\xfe" * len(raw),
        **{f"B10_prefix_{size}": raw[:size] for size in (1, 8, 16, len(raw) // 2)},
        **{f"B10_prefix_{size}_filled": raw[:size].ljust(len(raw), b"\xaa") for size in (1, 8, 16)},
    }
    for name, value in signatures.items():
        yield name, b".".join((header, payload, b64url_encode(value))), Code.SIGNATURE_INVALID
    changed = b".".join((header, b64url_encode(bytes(flipped)), signature))
    yield "B09_payload_bit", changed, Code.SIGNATURE_INVALID
    yield "B09_other_payload", b".".join((header, other[1], signature)), Code.SIGNATURE_INVALID
    yield "B09_swapped", b".".join((payload, header, signature)), Code.TOKEN_MALFORMED
    other_header = forge.with_header(typ="application/at+jwt").split(b".")[0]
    yield "B09_other_header", b".".join((other_header, payload, signature)), Code.SIGNATURE_INVALID
    for name, part in (("header", header), ("payload", payload)):
        spaced = b64url_encode(b64url_decode(part) + b" ")
        parts = (spaced, payload, signature) if part is header else (header, spaced, signature)
        yield f"B09_space_behind_{name}", b".".join(parts), Code.SIGNATURE_INVALID


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
    forms = {
        "B02_minus_r": (order - good_r, good_s, size),
        "B02_r_plus_n": (good_r + order, good_s, size + 1),
        "B02_s_plus_n": (good_r, good_s + order, size + 1),
        "B02_swapped": (good_s, good_r, size),
        "B03_zero_before_each": (good_r, good_s, size + 1),
        "B03_zeros_before_each": (good_r, good_s, 2 * size),
    }
    for name, (r, s, wide) in forms.items():
        yield name, signing_input + b"." + b64url_encode(r.to_bytes(wide) + s.to_bytes(wide)), Code.SIGNATURE_INVALID
    zero_r = encode_dss_signature(0, 0)
    yield "B03_der_of_zeros", signing_input + b"." + b64url_encode(zero_r), Code.SIGNATURE_INVALID


def _rsa(forge: Forge, token: bytes) -> Iterator[tuple[str, bytes, Code]]:
    """B08: other paddings, hashes and salts with the right key, and numbers that are the signature modulo n."""
    signing_input, _, signature = token.rpartition(b".")
    private = load_pem_private_key(signing_key_to_pem(forge.key), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    right, good = forge.key.algorithm.scheme, int.from_bytes(b64url_decode(signature))
    assert isinstance(right, Rsa)
    size, modulus = private.key_size // 8, private.public_key().public_numbers().n
    paddings = {"pkcs1": PKCS1v15(), **{f"salt_{salt}": salt for salt in (0, 8, 20, 32, 48, 64, 100)}}
    for (name, padding), one in product(paddings.items(), _RSA_HASHES):
        is_pss = isinstance(right.padding, PSS)
        salt_is_right = padding == right.hash.digest_size if is_pss else name == "pkcs1"
        if one.name == right.hash.name and salt_is_right:
            continue
        chosen = PSS(MGF1(one), padding) if isinstance(padding, int) else padding
        made = private.sign(signing_input, chosen, one)
        yield f"B08_{name}_{one.name}", signing_input + b"." + b64url_encode(made), Code.SIGNATURE_INVALID
    numbers = {"one": 1, "n_minus_1": modulus - 1, "n": modulus, "minus": modulus - good}
    for name, number in numbers.items():
        yield f"B08_{name}", signing_input + b"." + b64url_encode(number.to_bytes(size)), Code.SIGNATURE_INVALID
    longer = b64url_encode((good + modulus).to_bytes(size + 1))
    yield "B08_plus_n", signing_input + b"." + longer, Code.SIGNATURE_INVALID


def _with_tail_bits(signature: bytes) -> bytes:
    """The same bytes in another base64url form: a bit set that decoders ignore.

    A length that leaves no unused bits gets two characters more, whose unused bits are set.
    """
    if len(signature) % 4 == 0:
        return signature + b"AB"
    return signature[:-1] + _ALPHABET[_ALPHABET.index(signature[-1]) + 1 :][:1]


def _deflate(raw: bytes) -> bytes:
    """DEFLATE without a wrapper (RFC 1951), as `zip` of a JWE has it."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(raw) + deflater.flush()
