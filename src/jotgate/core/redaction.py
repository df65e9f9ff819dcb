"""Takes secrets out of text by their looks, and tells a secret that stands where a name should."""

import re
from typing import Final

_VALUE: Final = r"[A-Za-z0-9._~+/=-]"
_KEY: Final = (
    r"(?:sk|jot|pk|rk|gsk|hf|ghp|pplx|xai|nvapi|r8|cz[su])[-_][A-Za-z0-9_-]{8,}|AIza[A-Za-z0-9_-]{16,}|AKIA[A-Z0-9]{16}"
    r"|pat_[A-Za-z0-9]{32,}"
)
# In this order: what stands behind a telling name goes whole, whatever it is.
_LOOKS: Final = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), "(key)"),
    (
        re.compile(
            r"\b((?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api-key)(['\"]?\s*[:=,]\s*)(?:b?['\"])?[^\r\n'\"]+",
            re.IGNORECASE,
        ),
        r"\1\2(redacted)",
    ),
    (re.compile(rf"\b(bearer|basic|dpop)\s+{_VALUE}{{16,}}", re.IGNORECASE), r"\1 (redacted)"),
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*", re.ASCII), "(token)"),
    (re.compile(rf"\b(?:{_KEY})", re.ASCII), "(key)"),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE), r"\1(redacted)@"),
    (
        re.compile(r"\b((?:access_|refresh_|id_)?token|api_key|client_secret|password)=[^&\s]+", re.IGNORECASE),
        r"\1=(redacted)",
    ),
)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Keys without a telling beginning: long, and of letters of both cases and digits, or of small letters and digits.
_RANDOM: Final = re.compile(
    r"(?=.*[0-9])(?:(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/=_-]{20,}|(?=.*[a-z])[a-z0-9]{32,}|(?=.*[A-F])[A-F0-9]{32,})",
    re.ASCII,
)
_PATH_STARTS: Final = ("/", "./", "../", "~")
_PATH_MAX: Final = 1_024


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, instead in _LOOKS:
        text = pattern.sub(instead, text)
    return text


def is_variable(name: str) -> bool:
    """Whether a text looks like the name of an environment variable, and not like a secret in its place."""
    return _VARIABLE.fullmatch(name) is not None and not _is_random(name)


def is_path(text: str) -> bool:
    """Whether a text looks like a file's path, and not like a secret, or the file's content, in its place."""
    if len(text) > _PATH_MAX or not text.isprintable() or text.startswith("-----BEGIN"):
        return False
    # A colon without a slash: the `user:password` of a proxy.
    return text.startswith(_PATH_STARTS) or not (_is_random(text) or (":" in text and "/" not in text))


def _is_random(text: str) -> bool:
    return redact(text) != text or _RANDOM.fullmatch(text) is not None
