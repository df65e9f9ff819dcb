"""A real issuer whose tokens are good, and which makes every wrong token by name."""

from collections.abc import Iterator

from jotgate.errors import Code
from jotgate.jose import jwt
from jotgate.jose.algorithms import Hmac
from jotgate.jose.encoding import b64url_decode
from jotgate.jose.jwt import ACCESS_TOKEN_TYPE, LEEWAY_S_MAX
from jotgate.jose.keys import SigningKey, generate
from jotgate.testing import wrong_algorithms, wrong_claims, wrong_headers, wrong_signatures
from jotgate.testing.forge import Forge, assemble, to_json
from jotgate.testing.public_forms import public_forms


class TestIssuer(Forge):
    """Issues good access tokens with `token()`; each other method is named for what is wrong with its token."""

    __test__ = False  # for pytest: not a test class

    def token(self, **claims: object) -> bytes:
        """A good token, with changed or additional claims."""
        return jwt.sign(self.claims(**claims), ACCESS_TOKEN_TYPE, self.key)

    def expired(self) -> bytes:
        """Expired for longer than any leeway."""
        begin_s = self.now_s - 2 * LEEWAY_S_MAX
        return self.with_claims(iat=begin_s, exp=begin_s + LEEWAY_S_MAX - 1)

    def not_yet_valid(self) -> bytes:
        """`nbf` lies further ahead than any leeway."""
        return self.with_claims(nbf=self.now_s + 2 * LEEWAY_S_MAX)

    def wrong_audience(self) -> bytes:
        """For a resource of another name."""
        return self.with_claims(aud="https://other.example")

    def wrong_issuer(self) -> bytes:
        """Of another issuer, though signed with this one's key."""
        return self.with_claims(iss="https://other.example")

    def wrong_type(self) -> bytes:
        """A JWT that is no access token (RFC 9068 s4)."""
        return self.with_header(typ="JWT")

    def alg_none(self) -> bytes:
        """Unsigned."""
        return assemble(to_json(self.header(alg="none")), to_json(self.claims()), b"")

    def hs256_with_public_key(self) -> bytes:
        """HMAC with the PEM of the public key as the secret: the classic algorithm confusion."""
        return self.seal_with_secret(public_forms(self.key)["pem"])

    def stripped_signature(self) -> bytes:
        """The signature left out, its dot kept."""
        return self.token().rpartition(b".")[0] + b"."

    def changed_payload(self) -> bytes:
        """Another subject under the signature of a good token."""
        header, _, signature = self.token().split(b".")
        return assemble(b64url_decode(header), to_json(self.claims(sub="mallory")), b64url_decode(signature))

    def unknown_key(self) -> bytes:
        """Signed by another key of the same algorithm under its own key ID."""
        return self._stranger().token()

    def stolen_kid(self) -> bytes:
        """Signed by another key under this issuer's key ID."""
        return self._stranger().with_header(kid=self.key.kid)

    def _stranger(self) -> "TestIssuer":
        return TestIssuer(generate(self.key.algorithm.name), self.issuer, self.audience, self.now_s)


def wrong_tokens(key: SigningKey, issuer: str, audience: str, now: float) -> dict[str, tuple[bytes, Code]]:
    """Every wrong token by name, with the code of the refusal that it must meet.

    `key` is one that the verifier holds; the verifier takes its algorithm only, `at+jwt` only, a leeway and a lifetime
    within jotgate's limits. All tokens are visible ASCII, so that each fits into a header field. For an HMAC key the
    tokens that need a public key are left out.
    """
    wrong = TestIssuer(key, issuer, audience, now)
    return dict(_named(wrong)) | {
        name: (token, code)
        for rows in (wrong_algorithms.rows, wrong_signatures.rows, wrong_headers.rows, wrong_claims.rows)
        for name, token, code in rows(wrong)
    }


def _named(wrong: TestIssuer) -> Iterator[tuple[str, tuple[bytes, Code]]]:
    yield "expired", (wrong.expired(), Code.TOKEN_EXPIRED)
    yield "not_yet_valid", (wrong.not_yet_valid(), Code.TOKEN_IMMATURE)
    yield "wrong_audience", (wrong.wrong_audience(), Code.CLAIM_REFUSED)
    yield "wrong_issuer", (wrong.wrong_issuer(), Code.CLAIM_REFUSED)
    yield "wrong_type", (wrong.wrong_type(), Code.CLAIM_REFUSED)
    yield "alg_none", (wrong.alg_none(), Code.ALGORITHM_REFUSED)
    if not isinstance(wrong.key.algorithm.scheme, Hmac):
        yield "hs256_with_public_key", (wrong.hs256_with_public_key(), Code.ALGORITHM_REFUSED)
    yield "stripped_signature", (wrong.stripped_signature(), Code.SIGNATURE_INVALID)
    yield "changed_payload", (wrong.changed_payload(), Code.SIGNATURE_INVALID)
    yield "unknown_key", (wrong.unknown_key(), Code.KEY_UNKNOWN)
    yield "stolen_kid", (wrong.stolen_kid(), Code.SIGNATURE_INVALID)
