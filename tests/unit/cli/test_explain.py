"""`jotgate explain`: what it shows of a request, and that nothing that a caller wrote drives the terminal."""

import argparse
import json
from pathlib import Path
from typing import Final

import msgspec
import pytest

from jotgate.cli import explain
from jotgate.core.audit import CallRecord, Charge, EventRecord, encode
from jotgate.errors import Code, CommandError, Evidence
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import INSTANCE, START_US, StillClock, call, call_lines, full_call

NOW_S: Final = 1_800_000_000.0
EVIDENCE: Final = Evidence(
    digest="ab" * 32,
    now_s=NOW_S,
    size=700,
    alg="ES256",
    kid="k-1",
    typ="at+jwt",
    iss="https://gate.example",
    exp=NOW_S - 61,
    iat=NOW_S + 3600,
    claim="exp",
    wanted="more than 1799999995.000",
    got="1799999939",
    rules="jotgate",
    leeway_s=5,
    keys=2,
    kids=("k-1", "k-2"),
)


def refused(request_id: str, code: Code = Code.TOKEN_EXPIRED, evidence: Evidence = EVIDENCE) -> CallRecord:
    return msgspec.structs.replace(
        call(1), request_id=request_id, status=401, outcome="refused", code=code, refused=evidence
    )


def write(directory: Path, *records: CallRecord | EventRecord, instance: str = INSTANCE) -> None:
    writer = SegmentWriter(directory / "audit", instance, StillClock())
    writer.append([encode(record) for record in records])
    writer.close()


def run(directory: Path, *words: str) -> int:
    parser = argparse.ArgumentParser(prog="jotgate")
    explain.register(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["explain", *words, "--data", str(directory)])
    code: int = arguments.run(arguments)
    return code


def test_what_a_call_cost_its_quotas_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    charged = Charge(3, 5, cost=1_234, overrun=2, forgiven=True)
    write(
        tmp_path,
        msgspec.structs.replace(call(1), request_id="paid", charged=charged),
        msgspec.structs.replace(call(2), request_id="refused", charged=Charge()),
    )
    run(tmp_path, "paid")
    assert "  charged   tokens_in=3 tokens_out=5 cost=1234 overrun=2 forgiven=true" in capsys.readouterr().out
    run(tmp_path, "refused")
    assert "  charged   the call alone" in capsys.readouterr().out


def test_a_refused_token_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, full_call(), refused("req-7"))
    assert run(tmp_path, "req-7") == 0
    assert capsys.readouterr().out.splitlines() == [
        "request req-7 at 2026-11-22T17:07:58.000Z: refused, 401 token_expired",
        "  call      operation=chat.completions",
        f"  token     sha256={'ab' * 32} bytes=700 in=authorization",
        "  it says   alg=ES256 kid=k-1 typ=at+jwt iss=https://gate.example",
        "            (unverified: anybody can write that into a token)",
        "  claim     exp",
        "  wanted    'more than 1799999995.000'",
        "  got       1799999939 (unverified)",
        "  rules     those of the issuer jotgate, leeway 5 s",
        "  keys      2: k-1 k-2",
        "  clock     now 2027-01-15T08:00:00.000Z (1800000000.000)",
        "            exp 2027-01-15T07:58:59.000Z (1799999939.000), 61.000 s ago (unverified)",
        "            iat 2027-01-15T09:00:00.000Z (1800003600.000), 3600.000 s ahead (unverified)",
        "  do        Create a new token: jotgate token create --subject NAME",
        "  read      docs/errors.md#token_expired--401",
    ]


def test_the_advice_fits_the_issuer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, refused("req-7", evidence=msgspec.structs.replace(EVIDENCE, rules="corp")))
    assert run(tmp_path, "req-7") == 0
    out = capsys.readouterr().out
    assert "  do        Get a new token from its issuer\n" in out
    assert "jotgate token create" not in out


def test_a_stream_that_was_cut_leads_to_the_page_of_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, msgspec.structs.replace(refused("req-7"), status=200, outcome="cut"))
    assert run(tmp_path, "req-7") == 0
    out = capsys.readouterr().out
    assert ": cut, 200 token_expired\n" in out
    assert "  read      docs/errors.md#token_expired--401\n" in out


def test_any_request_can_be_looked_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, full_call())
    assert run(tmp_path, "req_01") == 0
    out = capsys.readouterr().out
    assert out.startswith("request req_01 at 2026-11-22T17:07:58.250Z: torn, 502 upstream_torn\n")
    assert "upstream=local" in out
    assert "  token " not in out


def test_all_records_of_an_id_are_shown_newest_first_from_all_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id is the caller's to choose: the same may come again. Another that holds it is another."""
    for place, instance in enumerate((INSTANCE, "ba9876543210")):
        records = [
            msgspec.structs.replace(refused("req-7"), at=START_US + (2 * place + one) * 1_000_000) for one in range(2)
        ]
        write(tmp_path, *records, refused("req-70"), full_call(), instance=instance)
    assert run(tmp_path, "req-7", "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["request_id"], one["at"] - START_US) for one in found] == [
        ("req-7", at * 1_000_000) for at in (3, 2, 1, 0)
    ]
    assert msgspec.convert(found[0]["refused"], Evidence) == EVIDENCE
    assert run(tmp_path, "req-7") == 0
    assert capsys.readouterr().out.count("request req-7 at ") == 4


def test_what_happened_for_a_request_is_shown_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    details: dict[str, str | int] = {"code": "token_revoked", "reason": "no\x1b[2J more", "request_id": "req-7"}
    event = EventRecord(at=START_US, event="kong.token_refused", actor="a1", subject="alice", details=details)
    write(tmp_path, event, msgspec.structs.replace(event, details={"request_id": "req-70"}), refused("req-7"))
    assert run(tmp_path, "req-7") == 0
    out = capsys.readouterr().out
    assert out.startswith("request req-7 at ")
    assert out.count("event kong.token_refused at 2026-11-22T") == 1
    assert "actor=a1 subject=alice code=token_revoked" in out
    assert "\x1b" not in out
    assert run(tmp_path, "req-7", "--json") == 0
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == ["call", "event"]


def test_at_most_a_hundred_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, *[refused("again")] * 300)
    assert run(tmp_path, "again", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 100


def test_an_open_segment_is_read_up_to_its_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = SegmentWriter(tmp_path / "audit", INSTANCE, StillClock())
    writer.append([*call_lines(1, 3), encode(refused("req-7"))])
    writer.flush()
    with writer.path.open("ab") as file:
        file.write(b"A" * 43 + b' {"kind":"call","request_id":"req-7"}\n' + b"A" * 43 + b' {"request_id":"req-7","at')
    assert run(tmp_path, "req-7", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("request_id", ["req-8", "", "r", "req-7\x1b[2J", "x" * 10_000])
def test_an_unknown_id_is_said_to_be_unknown(tmp_path: Path, request_id: str) -> None:
    write(tmp_path, refused("req-7"))
    with pytest.raises(CommandError, match="is in the audit log") as caught:
        run(tmp_path, request_id)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    assert "X-Request-Id" in caught.value.hint


def test_a_log_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no audit log"):
        run(tmp_path, "req-7")


def test_what_a_token_says_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2J\x9b31m\u202eb\r\n\x00\x7f  do        rm"
    names = ("alg", "kid", "typ", "iss", "claim", "wanted", "got", "rules", "place")
    evidence = msgspec.structs.replace(EVIDENCE, kids=(hostile,), **dict.fromkeys(names, hostile))
    record = msgspec.structs.replace(refused("req-7", evidence=evidence), model=hostile, subject=hostile, peer=hostile)
    write(tmp_path, record)
    for words in ((), ("--json",)):
        assert run(tmp_path, "req-7", *words) == 0
        out = capsys.readouterr().out
        assert not {"\x1b", "\x9b", "\x7f", "\r", "\0"} & set(out)
        assert not any(line.startswith("  do        rm") for line in out.splitlines())


@pytest.mark.parametrize("at_s", [1e30, -1e30, 253_402_300_800.0])
def test_a_time_that_no_calendar_has_is_shown_as_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], at_s: float
) -> None:
    write(tmp_path, refused("req-7", evidence=msgspec.structs.replace(EVIDENCE, exp=at_s)))
    assert run(tmp_path, "req-7") == 0
    assert f"({at_s:.3f})" in capsys.readouterr().out
