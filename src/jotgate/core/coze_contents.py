"""Contents of messages as Coze takes them: a text, or a JSON text that lists texts, images and files.

Images and files are named by URLs, which Coze fetches. What a caller sends along (a `data:` URL, base64) would have to
be uploaded under the credential that all callers share; and a file's id names what was uploaded by whomever. Both are
refused: nobody could say whose the file is.
"""

from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from jotgate.errors import RequestMalformed

ContentType = Literal["text", "object_string"]

URL_BYTES_MAX: Final = 8_192
_HINT: Final = "Put it where Coze can fetch it, and send its http or https URL"
_SCHEMES: Final = ("http://", "https://")


class Content(Struct, frozen=True):
    """The members `content` and `content_type` of a message."""

    content: str
    content_type: ContentType = "text"


class _Named(Struct, frozen=True):
    url: str = ""
    file_url: str = ""
    file_id: str = ""
    file_data: str = ""


class _Part(Struct, frozen=True):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: _Named | None = None
    image_file: _Named | None = None
    file: _Named | None = None


class _Object(Struct, frozen=True, omit_defaults=True):
    """One of the things that an `object_string` lists; it is written without what is empty."""

    type: Literal["text", "image", "file"]
    text: str = ""
    file_url: str = ""


_decode: Final = msgspec.json.Decoder(str | list[_Part] | None).decode
_encode: Final = msgspec.json.Encoder().encode


def read_content(raw: Raw, where: str) -> Content:
    """The content of a message that stands at `where` in the body, as `messages[0].content`.

    Texts alone become one text, each part on lines of its own.

    Raises:
        RequestMalformed: it is none, or has a part that Coze cannot be given.
    """
    objects = _read(raw, where)
    if all(one.type == "text" for one in objects):
        return Content("\n".join(one.text for one in objects))
    return Content(_encode(objects).decode(), "object_string")


def read_text(raw: Raw, where: str) -> str:
    """The same where only texts can be taken. Raises RequestMalformed."""
    objects = _read(raw, where)
    if any(one.type != "text" for one in objects):
        raise RequestMalformed(f"'{where}' has an image or a file; only text can be taken here", param=where)
    return "\n".join(one.text for one in objects)


def _read(raw: Raw, where: str) -> list[_Object]:
    try:
        content: str | list[_Part] | None = _decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise RequestMalformed(f"'{where}' is neither a string nor a list of parts", param=where) from None
    if content is None:
        return []
    if isinstance(content, str):
        return [_Object("text", content)]
    return [_read_part(part, f"{where}[{number}]") for number, part in enumerate(content)]


def _read_part(part: _Part, where: str) -> _Object:
    match part:
        case _Part(type="text"):
            return _Object("text", part.text)
        case _Part(type="refusal"):
            return _Object("text", part.refusal)
        case _Part(type="image_url", image_url=_Named() as named):
            return _Object("image", file_url=_read_url(named, named.url, where))
        case _Part(type="image_file", image_file=_Named() as named):
            return _Object("image", file_url=_read_url(named, named.file_url, where))
        case _Part(type="file", file=_Named() as named):
            return _Object("file", file_url=_read_url(named, named.file_url, where))
        case _Part(type="input_audio"):
            raise _sent_along(where)
    raise RequestMalformed(
        f"'{where}' is of a type that Coze cannot be given", param=where, hint="Send text, image_url or file"
    )


def _read_url(named: _Named, url: str, where: str) -> str:
    if named.file_data or url[:5].lower() == "data:":
        raise _sent_along(where)
    if named.file_id:
        raise RequestMalformed(
            f"'{where}' names a file by its id, and nobody knows whose that is", param=where, hint=_HINT
        )
    if not url.lower().startswith(_SCHEMES) or len(url.encode("utf-8", "replace")) > URL_BYTES_MAX:
        raise RequestMalformed(f"'{where}' has no http or https URL of at most {URL_BYTES_MAX} bytes", param=where)
    return url


def _sent_along(where: str) -> RequestMalformed:
    return RequestMalformed(f"'{where}' brings data along, which Coze does not take", param=where, hint=_HINT)
