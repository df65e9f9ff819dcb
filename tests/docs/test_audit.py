"""docs/audit.md describes the records that are written, and its shell script verifies them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest

from jotgate.core.audit import (
    RECORD_BYTES_MAX,
    CallRecord,
    Charge,
    CloseRecord,
    EventRecord,
    Kind,
    OpenRecord,
    Outcome,
    StepUse,
)
from jotgate.errors import Evidence
from tests.docs.pages import pages

GOLDEN = Path(__file__).parents[1] / "vectors" / "audit"
RECORDS: Final[dict[str, type[msgspec.Struct]]] = {
    "open": OpenRecord,
    "call": CallRecord,
    "event": EventRecord,
    "close": CloseRecord,
}
PAGE = pages()["docs/audit.md"]
SCRIPT = next(block for block in PAGE.blocks("sh") if "sha256sum" in block)


def section(title: str) -> str:
    return PAGE.text.partition(f"\n### {title}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize("kind", RECORDS)
def test_every_field_is_described_with_its_default(kind: str) -> None:
    described = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", section(kind), re.MULTILINE)
    fields = msgspec.structs.fields(RECORDS[kind])
    assert sorted(name for name, _ in described) == sorted(field.encode_name for field in fields)
    defaults = {name: default.strip() for name, default in described}
    for field in fields:
        if field.default_factory is not msgspec.NODEFAULT:
            assert json.loads(defaults[field.encode_name]) == field.default_factory()
        elif field.default is msgspec.NODEFAULT:
            assert defaults[field.encode_name] == ""
        elif defaults[field.encode_name] == "absent":
            assert field.default is None
        else:
            expected = list(field.default) if isinstance(field.default, tuple) else field.default
            assert json.loads(defaults[field.encode_name]) == expected


def test_every_field_of_what_is_known_of_a_refused_token_is_described_with_its_default() -> None:
    text = PAGE.text.partition("\n#### refused\n")[2].partition("\n#")[0]
    described = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", text, re.MULTILINE)
    fields = msgspec.structs.fields(Evidence)
    assert [name for name, _ in described] == [field.name for field in fields]
    for (_, default), field in zip(described, fields, strict=True):
        assert (default.strip() == "") is (field.default is msgspec.NODEFAULT)
        assert not default.strip() or json.loads(default) == (
            list(field.default) if isinstance(field.default, tuple) else field.default
        )


def test_every_field_of_what_was_charged_is_described_with_its_default() -> None:
    text = PAGE.text.partition("\n#### charged\n")[2].partition("\n#")[0]
    described = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", text, re.MULTILINE)
    fields = msgspec.structs.fields(Charge)
    assert [(name, json.loads(default)) for name, default in described] == [(one.name, one.default) for one in fields]


def test_every_field_of_a_step_is_described_with_its_default() -> None:
    text = PAGE.text.partition("\n#### steps\n")[2].partition("\n#")[0]
    described = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", text, re.MULTILINE)
    fields = msgspec.structs.fields(StepUse)
    assert [name for name, _ in described] == [field.name for field in fields]
    for (_, default), field in zip(described, fields, strict=True):
        assert not default.strip() if field.required else json.loads(default) == field.default


def test_every_kind_has_its_section() -> None:
    assert PAGE.headings(3) == list(get_args(Kind))


def test_every_outcome_is_described() -> None:
    row = next(line for line in section("call").splitlines() if line.startswith("| `outcome`"))
    assert set(re.findall(r"`(\w+)`", row)) == {"outcome", *get_args(Outcome)}


def test_the_limit_is_the_one_in_the_code() -> None:
    assert f"at most {RECORD_BYTES_MAX:,} bytes" in PAGE.text


def run_script(path: Path) -> list[str]:
    ran = subprocess.run(["sh", "-c", SCRIPT, "sh", str(path)], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_the_script_verifies_real_segments_and_finds_the_next_link() -> None:
    files = sorted(GOLDEN.iterdir())
    for file, following in zip(files, [*files[1:], None], strict=True):
        (last,) = run_script(file)
        digest = last.removeprefix("last digest ")
        assert digest == file.read_text().splitlines()[-1][:43]
        if following is not None:
            assert f'"previous":{{"file":"{file.name}","digest":"{digest}"}}' in following.read_text()


def test_the_script_finds_a_changed_record(tmp_path: Path) -> None:
    changed = tmp_path / "changed.log"
    changed.write_text(min(GOLDEN.iterdir()).read_text().replace('"row":2,', '"row":7,'))
    assert run_script(changed)[0] == "line 3 does not fit"


def test_records_begin_at_the_45th_byte() -> None:
    for file in GOLDEN.iterdir():
        ran = subprocess.run(["cut", "-c45-", str(file)], capture_output=True, text=True, check=True)
        assert all("kind" in json.loads(line) for line in ran.stdout.splitlines())
