"""The story of a token that was refused as a revoked one: which, narrowed from which, revoked when, why and by whom."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from jotgate.cli.token_story import tell_story
from jotgate.core.audit import EventRecord, encode
from jotgate.core.durable import Revocation
from jotgate.core.revocation_orders import RevocationSought
from jotgate.errors import Evidence
from jotgate.stores.segments import SegmentWriter
from tests.audit_logs import INSTANCE, StillClock

ISS = "https://gate.example"
AT = 1_795_000_000_000_000
KNOWN = Evidence(
    digest="ab" * 32,
    now_s=1_800_000_000.0,
    iss=ISS,
    claim="ancestors",
    got="t-1",
    rules="jotgate",
    jti="t-3",
    ancestors=("t-1", "t-2"),
    actors=("sub-agent", "agent"),
)


def write(directory: Path, *events: EventRecord) -> None:
    writer = SegmentWriter(directory, INSTANCE, StillClock())
    writer.append([encode(event) for event in events])
    writer.close()


def event(
    event_name: str, /, *, at: int = AT, actor: str = "jotgate-cli", subject: str = "", **details: Any
) -> EventRecord:
    return EventRecord(at=at, event=event_name, actor=actor, subject=subject, details=details)


def nobody(_: RevocationSought) -> None:
    """Nothing runs that could be asked."""


def story(directory: Path, known: Evidence = KNOWN, code: str = "token_revoked", /, **changes: Any) -> list[str]:
    sought = changes.pop("sought", nobody)
    told = tell_story(directory, code, msgspec.structs.replace(known, **changes), sought)
    return [f"{label}: {text}" for label, text in told]


def test_the_line_of_a_token_is_told_and_which_of_it_was_revoked(tmp_path: Path) -> None:
    write(
        tmp_path,
        event("token.issued", jti="t-1"),
        event("token.revoked", jti="t-1", issuer="https://else.example", reason="another's"),
        event("token.revoked", jti="t-2", issuer=ISS, reason="later"),
        event("token.revoked", jti="t-1", issuer=ISS, reason="laptop lost"),
    )
    assert story(tmp_path) == [
        "acts: sub-agent for agent for whom the token speaks for",
        "line: t-1  <- revoked",
        ":   t-2",
        ":     t-3",
        "revoked: token t-1 was revoked at 2026-11-18T11:06:40.000Z: laptop lost, by jotgate-cli",
    ]


def test_a_token_that_comes_of_nothing_has_no_line(tmp_path: Path) -> None:
    write(tmp_path, event("token.revoked", jti="t-3", issuer=ISS, reason=""))
    assert story(tmp_path, claim="jti", got="t-3", ancestors=(), actors=()) == [
        "revoked: token t-3 was revoked at 2026-11-18T11:06:40.000Z, by jotgate-cli"
    ]


@pytest.mark.parametrize(
    ("claim", "got", "happened", "told"),
    [
        ("family", "f-1", event("family.ended", family="f-1", reason="returned"), "family f-1 was revoked"),
        ("family", "f-1", event("family.reused", family="f-1"), "family f-1 was taken for stolen"),
        ("origins", "family f-1", event("family.ended", family="f-1", reason=""), "family f-1 was revoked"),
        ("origins", "client app", event("client.disabled", subject="app"), "client app was disabled"),
        ("client_id", "app", event("client.deleted", subject="app"), "client app was deleted"),
        ("sub", "Ann Lee", event("principal.disabled", subject="Ann Lee"), "subject Ann Lee was disabled"),
        ("tenant", "acme", event("tenant.disabled", subject="acme"), "tenant acme was disabled"),
        ("kid", "k-1", event("key.revoked", kid="k-1"), "key k-1 was revoked"),
        ("sid", "s-1", event("tokens.revoked", kind="session", name="s-1", reason="logout"), "session s-1 was revoked"),
        (
            "origins",
            f"subject {ISS} ann",
            event("tokens.revoked", kind="subject", name="ann", reason="left"),
            "subject ann was revoked",
        ),
        (
            "origins",
            f"token {ISS} a-1",
            event("token.revoked", jti="a-1", issuer=ISS, reason=""),
            "token a-1 was revoked",
        ),
        (
            "ancestors",
            "p-1",
            event("personal_token.revoked", subject="ann", jti="p-1", name="editor"),
            "token p-1 was revoked",
        ),
    ],
)
def test_whatever_was_revoked_is_found(tmp_path: Path, claim: str, got: str, happened: EventRecord, told: str) -> None:
    other = msgspec.structs.replace(happened, subject="x", details=dict.fromkeys(happened.details, "x"))
    write(tmp_path, happened, other)
    line = story(tmp_path, claim=claim, got=got)[-1]
    assert line.startswith(f"revoked: {told} at 2026-11-18T")
    assert line.endswith(", by jotgate-cli")


def test_what_the_log_does_not_know_is_not_made_up(tmp_path: Path) -> None:
    write(tmp_path, event("client.enabled", subject="app"), event("token.issued", jti="t-1"))
    for claim, got in (("ancestors", "t-1"), ("client_id", "app")):
        assert "does not say when" in story(tmp_path, claim=claim, got=got)[-1]
    assert story(tmp_path, claim="", got="", actors=(), ancestors=()) == []


def test_what_was_revoked_on_another_machine_the_store_knows(tmp_path: Path) -> None:
    write(tmp_path)
    asked: list[RevocationSought] = []

    def sought(one: RevocationSought) -> Revocation:
        asked.append(one)
        return Revocation(one.kind, "handle", AT // 1_000_000, reason="laptop lost", actor="jotgate-cli")

    assert story(tmp_path, sought=sought)[-1] == (
        "revoked: token t-1 was revoked on another machine at 2026-11-18T11:06:40.000Z: laptop lost, by jotgate-cli"
    )
    story(tmp_path, claim="origins", got="session https://idp.example s 1", sought=sought)
    story(tmp_path, claim="client_id", got="app", sought=sought)
    assert [one.handle(ISS) for one in asked] == [f"{ISS} t-1", "https://idp.example s 1", "app"]


def test_of_a_token_that_was_refused_for_another_reason_only_who_acts_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    assert story(tmp_path, KNOWN, "token_expired") == ["acts: sub-agent for agent for whom the token speaks for"]


def test_nothing_that_a_caller_wrote_drives_the_terminal(tmp_path: Path) -> None:
    write(tmp_path, event("token.revoked", jti="t-1", issuer=ISS, reason="\x1b[2J"))
    told = story(tmp_path, actors=("\x1b[2J",), ancestors=("t-1", "\u202e"))
    assert all(line.isprintable() for line in told)
