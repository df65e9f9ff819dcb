"""What the doctor says of Kong: whether it answers, how it differs, and nothing where there is none."""

import re
from pathlib import Path

import pytest

from jotgate.assembly.doctor import Check
from jotgate.assembly.kong_check import judge, look_at_kong
from jotgate.core.kong_orders import ChangeView, KongReport
from jotgate.errors import CommandError
from jotgate.stores.settings import Settings, Sources, load_settings
from jotgate.testing.kong import kong_in_thread

URL = "http://127.0.0.1:8001"
PLUGIN = ChangeView("create", "plugin", "jwt")


def settings(folder: Path, text: str) -> Settings:
    file = folder / "jotgate.toml"
    file.write_text(text)
    return load_settings(Sources(file=file))


def looked(found: Settings) -> list[Check]:
    return list(look_at_kong(found, lambda: None, lambda: None))


def test_without_a_kong_there_is_no_line(tmp_path: Path) -> None:
    assert looked(settings(tmp_path, "")) == []


def test_where_nothing_runs_it_is_asked_for_its_version(tmp_path: Path) -> None:
    with kong_in_thread() as kong:
        found = settings(tmp_path, f'[kong]\nadmin_url = "{kong.admin_url}"\n')
        (line,) = looked(found)
        assert (line.state, "answers (Kong 3." in line.text) == ("ok", True)
        kong.admin_header = ("Kong-Admin-Token", "sesame")
        (line,) = looked(found)
        assert (line.state, "kong.token_env" in line.fix) == ("fault", True)
    (line,) = looked(found)
    assert (line.state, "cannot be reached" in line.text, bool(line.fix)) == ("fault", True, True)


def test_a_control_that_does_not_say_how_it_is_leaves_that_to_its_own_line(tmp_path: Path) -> None:
    def silent() -> None:
        raise CommandError("control did not answer")

    found = settings(tmp_path, f'[kong]\nadmin_url = "{URL}"\n')
    assert list(look_at_kong(found, silent, lambda: None)) == []


@pytest.mark.parametrize(
    ("report", "state", "told"),
    [
        (KongReport(url=URL), "ok", "has what it is to have"),
        (KongReport(url=URL, total=3, changes=[PLUGIN]), "fault", "differs in 3 .* create plugin jwt"),
        (KongReport(url=URL, total=3, changes=[PLUGIN], notes=["a plugin of others"]), "fault", "a plugin of others"),
        (KongReport(url=URL, strangers=2), "unknown", "2 credentials with our tag"),
    ],
)
def test_a_plan_is_told_as_what_is_wrong(report: KongReport, state: str, told: str) -> None:
    line = judge(report)
    assert (line.name, line.state) == ("kong", state)
    assert re.search(told, line.text)
