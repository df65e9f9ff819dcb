"""docs/coze.md says what Coze's codes are told as, which parameters are taken, and what becomes of each event."""

import re
from typing import Final

from jotgate.core.coze_codes import MEANINGS
from jotgate.core.coze_parameters import IGNORED, REFUSED, USED
from jotgate.core.coze_replies import GATHERED_BYTES_MAX
from tests.docs.pages import pages

_ROW: Final = re.compile(r"^\| (\d+(?:, \d+)*) \| (\d{3}) \| `([a-z_]+)` \| (.*) \|$", re.MULTILINE)
_RETRY: Final = re.compile(r"`Retry-After: (\d+)`")
_OWN_CREDENTIAL: Final = (401, 403)
_BUSY: Final = 4016


def page() -> str:
    return pages()["docs/coze.md"].text


def test_the_table_of_errors_is_the_one_that_is_used() -> None:
    written = {}
    for numbers, status, code, words in _ROW.findall(page()):
        retry = _RETRY.search(words)
        for number in numbers.split(", "):
            written[int(number)] = (int(status), code, int(retry[1]) if retry else 0)
    # The relay tells a refusal of jotgate's own credential as what it is; a busy conversation is so for a second.
    used = {
        number: (502, "upstream_refused", 0)
        if one.status in _OWN_CREDENTIAL
        else (one.status, one.code, 1 if number == _BUSY else one.retry_after_s)
        for number, one in MEANINGS.items()
    }
    assert written == used


def test_each_parameter_stands_under_what_becomes_of_it() -> None:
    section = page().partition("## Parameters")[2].partition("## What is told")[0]
    used, ignored, refused = re.findall(r"^- (.*?)(?=^- |^The member|\Z)", section, re.MULTILINE | re.DOTALL)
    named = [set(re.findall(r"`([a-z_]+)`", text)) for text in (used, ignored, refused)]
    assert named[0] - {"meta_data"} == USED
    assert named[1] == IGNORED
    assert named[2] - {"none", "auto", "param"} == REFUSED.keys()


def test_the_bound_of_a_whole_answer_is_that_of_the_decision() -> None:
    assert GATHERED_BYTES_MAX == 4 * 1024 * 1024
    assert "4 MiB" in pages()["docs/adr/0030-coze-chats.md"].text
