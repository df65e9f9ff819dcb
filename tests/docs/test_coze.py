"""docs/coze.md says what Coze's codes are told as, which parameters are taken, and what becomes of each event."""

import re
from typing import Final

import msgspec

from jotgate.core.coze_codes import MEANINGS
from jotgate.core.coze_parameters import IGNORED, REFUSED, USED, Extension
from jotgate.core.coze_replies import GATHERED_BYTES_MAX
from jotgate.core.coze_workflows import RESUMES_MAX, Interrupt
from jotgate.upstreams.coze_workflow import ON_ITS_WAY_S
from jotgate.upstreams.coze_workflow_runs import INTERRUPT_LIFE_S, LOOK_S, MISSES_MAX, QUESTION_MAX
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


def test_the_page_says_what_a_workflow_asks_and_how_often_that_is_answered() -> None:
    section = page().partition("## Workflows")[2].partition("## Errors")[0]
    call = Interrupt("1/2", 2).tool_call("7")
    assert f"`{call.name}`" in section
    rows = re.findall(r"^\| (`[a-z`, ]+`) \|", section, re.MULTILINE)
    members = [name for row in rows for name in re.findall(r"`([a-z]+)`", row)]
    assert members == list(msgspec.json.decode(call.arguments))
    for number in (1, 2, 5, 7):
        kind = msgspec.json.decode(Interrupt("1/2", number).tool_call("7").arguments)["kind"]
        assert f"{number} `{kind}`" in section
    assert f"{QUESTION_MAX:,} characters" in section
    assert (RESUMES_MAX, INTERRUPT_LIFE_S, MISSES_MAX, LOOK_S) == (3, 86_400, 5, 1.0)
    assert f"until {ON_ITS_WAY_S} s past `first_byte_timeout`" in section
    for said in ("three times at most", "for a day, and once", "four times in a row at most", "at most once a second"):
        assert said in section


def test_each_member_of_the_extension_is_explained() -> None:
    text = page()
    assert all(f"`{name}`" in text for name in Extension.__struct_fields__)


def test_the_bound_of_a_whole_answer_is_that_of_the_decision() -> None:
    assert GATHERED_BYTES_MAX == 4 * 1024 * 1024
    assert "4 MiB" in pages()["docs/adr/0030-coze-chats.md"].text
