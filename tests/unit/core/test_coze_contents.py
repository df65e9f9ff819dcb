"""Contents of messages: texts, images and files by URL, and what is refused with its place."""

import msgspec
import pytest
from msgspec import Raw

from jotgate.core.coze_contents import URL_BYTES_MAX, Content, read_content, read_text
from jotgate.errors import RequestMalformed

WHERE = "messages[0].content"
IMAGE = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png", "detail": "high"}}
FILE = {"type": "file", "file": {"file_url": "http://files.example/a.pdf", "filename": "a.pdf"}}


def read(content: object) -> Content:
    return read_content(Raw(msgspec.json.encode(content)), WHERE)


def refused(content: object) -> RequestMalformed:
    with pytest.raises(RequestMalformed) as caught:
        read(content)
    return caught.value


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def test_a_text_stays_as_it_is() -> None:
    assert read("Grüße \u2603\n") == Content("Grüße \u2603\n")
    assert read(None) == read([]) == Content("")


def test_texts_in_parts_become_one() -> None:
    assert read([text("a"), text("b\u2603")]) == Content("a\nb\u2603")
    assert read([text("a"), {"type": "refusal", "refusal": "no"}]) == Content("a\nno")


def test_images_and_files_are_listed_by_their_urls_in_their_order() -> None:
    found = read([text("What is \u2603?"), IMAGE, FILE])
    assert found.content_type == "object_string"
    assert msgspec.json.decode(found.content) == [
        {"type": "text", "text": "What is \u2603?"},
        {"type": "image", "file_url": "https://pictures.example/a.png"},
        {"type": "file", "file_url": "http://files.example/a.pdf"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "DATA:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "JVBERi0=", "file_url": "https://files.example/a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ],
)
def test_what_is_sent_along_is_refused_and_its_caller_told_what_to_do(part: dict[str, object]) -> None:
    refusal = refused([text("a"), part])
    assert refusal.param == f"{WHERE}[1]"
    assert "brings data along" in refusal.message
    assert "send its http or https URL" in refusal.hint


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "7300000000000000009"}},
        {"type": "file", "file": {"file_id": "7", "file_url": "https://files.example/a.pdf"}},
        {"type": "image_file", "image_file": {"file_id": "7300000000000000009"}},
    ],
)
def test_a_file_by_its_id_may_be_anybodys_and_is_refused(part: dict[str, object]) -> None:
    assert "nobody knows whose that is" in refused([part]).message


@pytest.mark.parametrize(
    "url", ["", "ftp://files.example/a", "file:///etc/passwd", "//pictures.example/a", "https://" + "a" * URL_BYTES_MAX]
)
def test_an_image_that_no_url_names_is_refused(url: str) -> None:
    assert "http or https URL" in refused([{"type": "image_url", "image_url": {"url": url}}]).message


@pytest.mark.parametrize(
    "content",
    [
        5,
        {"type": "text"},
        ["text"],
        [{"text": "a"}],
        [{"type": "text", "text": 5}],
        [{"type": "video_url", "video_url": {"url": "https://v.example"}}],
        [{"type": "image_url"}],
        [{"type": "image_url", "image_url": "https://pictures.example/a.png"}],
        [{"type": "file"}],
    ],
)
def test_what_is_no_content_is_refused(content: object) -> None:
    assert str(refused(content).param).startswith(WHERE)


def test_where_only_text_can_be_taken_an_image_is_refused() -> None:
    assert read_text(Raw(msgspec.json.encode([text("a"), text("b")])), WHERE) == "a\nb"
    with pytest.raises(RequestMalformed, match="only text"):
        read_text(Raw(msgspec.json.encode([text("a"), IMAGE])), WHERE)
