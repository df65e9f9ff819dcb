"""The lines of a document's settings."""

import tomllib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.toml_lines import find_lines, nearest_line

_TEXT = '''# a comment
top = 1
[server] # another
port = 1
"quoted.name" = """
[[upstreams]]
name = "not this"
"""
list = [
  "a", # ]
  [1, 2], { a = "}" },
]
dotted . below = {a = 1, "c" = '}'}
[[upstreams]]
name = 'x' # no # more
long = \'\'\'
[server]
\'\'\'
[upstreams.inner]
ca = 2024-01-01 00:00:00
[[upstreams]]
name = "y"
'''


def test_each_setting_has_its_line() -> None:
    tomllib.loads(_TEXT)
    assert find_lines(_TEXT) == {
        "top": 2,
        "server": 3,
        "server.port": 4,
        "server.quoted.name": 5,
        "server.list": 9,
        "server.dotted.below": 13,
        "upstreams": 14,
        "upstreams[0]": 14,
        "upstreams[0].name": 15,
        "upstreams[0].long": 16,
        "upstreams[0].inner": 19,
        "upstreams[0].inner.ca": 20,
        "upstreams[1]": 21,
        "upstreams[1].name": 22,
    }


def test_tables_of_an_array_within_another_belong_to_its_newest() -> None:
    text = "[[a.b]]\nx = 1\n[[a.b.c]]\ny = 1\n[[a.b.c]]\n[a.b.c.d]\nz = 1\n[[a.b]]\n[[a.b.c]]\ny = 2\n"
    tomllib.loads(text)
    lines = find_lines(text)
    assert (lines["a.b[0].c[0].y"], lines["a.b[0].c[1]"], lines["a.b[0].c[1].d.z"]) == (4, 5, 7)
    assert (lines["a.b[1]"], lines["a.b[1].c[0].y"]) == (8, 10)


def test_what_has_no_line_has_that_of_what_it_stands_in() -> None:
    lines = find_lines("[server]\n[[upstreams]]\nmodels = { a = 1 }\n")
    assert nearest_line(lines, "server.port") == 1
    assert nearest_line(lines, "upstreams[0].name") == 2
    assert nearest_line(lines, "upstreams[0].models.a") == 3
    assert nearest_line(lines, "limits.body_bytes") is None


def paths(value: object, path: str = "") -> Iterator[str]:
    """The paths of a decoded document down to what is no table."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from paths(item, f"{path}[{index}]")
    else:
        yield path


_VALUES = st.sampled_from(
    [
        "1",
        "true",
        '"a # b"',
        "'[x]'",
        '"""\n[t]\nk = 1\n"""',
        "[1,\n 2]",
        "[ # ]\n]",
        '"\\""',
        "[[1], ['}']]",
        '""""a"""',
    ]
)
_TABLES = st.lists(
    st.tuples(st.sampled_from(["[a]", "[b]", "[[c]]", "[[c]]"]), st.lists(_VALUES, max_size=4)), max_size=5
)


@given(_TABLES)
def test_every_setting_that_the_decoder_finds_has_a_line_on_which_it_stands(
    tables: list[tuple[str, list[str]]],
) -> None:
    seen: set[str] = set()
    text = ""
    for header, values in tables:
        if header in seen and not header.startswith("[["):
            continue
        seen.add(header)
        text += header + "\n" + "".join(f"k{index} = {value}\n\n" for index, value in enumerate(values))
    lines = find_lines(text)
    rows = text.split("\n")
    for path in paths(tomllib.loads(text)):
        if "." in path:
            assert rows[lines[path] - 1].startswith(path.rpartition(".")[2] + " = ")
