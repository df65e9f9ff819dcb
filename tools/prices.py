"""Makes `src/jotgate/stores/prices.json`, and its licence, from the wheel of genai-prices, which is read and never run.

    pip download --no-deps genai-prices==0.2.3
    .venv/bin/python -m tools.prices genai_prices-0.2.3-py3-none-any.whl 2026-11-23

The date is the day whose prices are meant. A newer package needs its version and digest here. What a price of the
package says of tokens becomes one of `core.quotas.Price`, where the dearer always stands for what a call does not tell.
"""

import ast
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import msgspec
from msgspec import Struct

from jotgate.core.price_table import Match, PricedModel, PriceTable, Provider
from jotgate.core.quotas import Extra, Price, Rates

VERSION: Final = "0.2.3"
DIGEST: Final = "56976ce2b04ec206117f7d0e53f4849211a6724ab3a12119afec304eba63ee25"
TABLE: Final = Path(__file__).parent.parent / "src/jotgate/stores/prices.json"
LICENCE: Final = TABLE.with_suffix(".license.txt")
NOTICE: Final = f"From genai-prices {VERSION}, (c) Pydantic Services Inc., MIT License"

_TOKEN_PD: Final = 1_000_000
"""Picodollars for a token of what costs a dollar for a million."""
_CALL_PD: Final = 1_000_000_000
"""Picodollars for a call of what costs a dollar for a thousand."""

_INPUT: Final = ("input_mtok", "cache_write_mtok")
_OUTPUT: Final = ("output_mtok", "output_reasoning_mtok", "output_citation_mtok")
_MEDIA_IN: Final = ("input_audio_mtok", "input_image_mtok", "input_video_mtok")
_MEDIA_OUT: Final = ("output_audio_mtok", "output_image_mtok", "output_video_mtok")
_CACHE: Final = ("cache_write_1h_mtok",)
_FAST: Final = frozenset({("service_tier", "fast"), ("service_tier", "priority"), ("speed", "fast")})
_MATCHES: Final = {
    "ClauseEquals": "equals",
    "ClauseStartsWith": "starts",
    "ClauseEndsWith": "ends",
    "ClauseContains": "contains",
    "ClauseRegex": "regex",
}


class Made(Struct, frozen=True):
    """A call in the package's data: the name of what is made, and of what, by name; `first` is what has no name."""

    name: str
    members: dict[str, object]
    first: tuple[object, ...] = ()


def main(arguments: Sequence[str]) -> None:
    """Write the table from a wheel whose digest is the one that is known."""
    wheel, day = Path(arguments[0]), date.fromisoformat(arguments[1])
    if sha256(wheel.read_bytes()).hexdigest() != DIGEST:
        raise SystemExit(f"{wheel} is not the wheel of genai-prices {VERSION}")
    with ZipFile(wheel) as archive:
        text = archive.read("genai_prices/data.py").decode("utf-8")
        LICENCE.write_bytes(archive.read(f"genai_prices-{VERSION}.dist-info/licenses/LICENSE"))
    table = read_table(text, day)
    TABLE.write_bytes(write_table(table))
    print(f"{sum(len(one.models) for one in table.providers)} prices of {len(table.providers)} providers")


def write_table(table: PriceTable) -> bytes:
    """The table with a provider or model on each line, so that a change of it can be read."""
    lines = msgspec.json.encode(table).replace(b'{"fits"', b'\n{"fits"').replace(b'{"name"', b'\n{"name"')
    return lines + b"\n"


def read_table(text: str, day: date) -> PriceTable:
    """The prices in the text of the package's data module, as they are on a day and from then on."""
    assigned = next(node for node in ast.parse(text).body if isinstance(node, ast.AnnAssign) and node.value)
    providers = [_made(one) for one in _items(_value(assigned.value))]
    return PriceTable(NOTICE, tuple(_provider(one, day) for one in providers))


def _provider(made: Made, day: date) -> Provider:
    models = [_made(one) for one in _items(made.members["models"])]
    found = [PricedModel(_match(_made(one.members["match"])), _price(one, day)) for one in models]
    falls_to = tuple(str(one) for one in _items(made.members.get("fallback_model_providers") or []))
    return Provider(str(made.members["id"]), str(made.members["api_pattern"]), tuple(found), falls_to)


def _match(made: Made) -> Match:
    if made.name == "ClauseOr":
        return Match(any_of=tuple(_match(_made(one)) for one in _items(made.members["or_"])))
    if made.name == "ClauseAnd":
        return Match(all_of=tuple(_match(_made(one)) for one in _items(made.members["and_"])))
    kind = _MATCHES[made.name]
    text = str(made.members[kind if kind in made.members else "starts_with" if kind == "starts" else "ends_with"])
    return msgspec.structs.replace(Match(), **{kind: text if kind == "regex" else text.lower()})


def _price(model: Made, day: date) -> Price | None:
    """The price of a model; None when it is not one of tokens."""
    standing = _standing(model.members["prices"], day)
    if not any(_prices(standing, _INPUT[:1])) and not any(_prices(standing, _OUTPUT[:1])):
        return None
    steps = sorted({0, *(above for name in (*_INPUT, *_OUTPUT) for above, _ in _prices(standing, (name,)))})
    media = Rates(_dearest(standing, _MEDIA_IN), _dearest(standing, _MEDIA_OUT))
    rates = [
        Rates(
            _dearest(standing, _INPUT, above) or media.input_pd,
            _dearest(standing, _OUTPUT, above) or media.output_pd,
            above,
        )
        for above in steps
    ]
    variants = [_made(one) for one in _items(model.members.get("price_variants") or [])]
    fast = [_made(one.members["prices"]) for one in variants if _FAST & _conditions(one)]
    extras: dict[Extra, Rates] = {
        "media": media,
        "cache": Rates(_dearest(standing, _CACHE), 0),
        "fast": Rates(_dearest(fast, _INPUT), _dearest(fast, _OUTPUT)),
    }
    calls = [Decimal(str(one.members["requests_kcount"])) for one in standing if one.members.get("requests_kcount")]
    return Price(
        rates[0].input_pd,
        rates[0].output_pd,
        _up(max(calls, default=Decimal(0)) * _CALL_PD),
        tuple(rates[1:]),
        {extra: one for extra, one in extras.items() if one.input_pd or one.output_pd},
    )


def _standing(value: object, day: date) -> list[Made]:
    """The prices that hold on a day, at one hour of it or from a later day on."""
    if isinstance(value, Made):
        return [value]
    entries = [_made(one) for one in _items(value)]
    last = max(index for index, one in enumerate(entries) if not index or _is_whole_from(one, day))
    return [_made(one.members["prices"]) for one in entries[last:]]


def _is_whole_from(entry: Made, day: date) -> bool:
    """Whether an entry holds all day, on this one and those that follow."""
    constraint = entry.members.get("constraint")
    if constraint is None:
        return True
    start = _made(constraint).members.get("start_date")
    return isinstance(start, date) and start <= day


def _prices(standing: Iterable[Made], names: Iterable[str]) -> list[tuple[int, Decimal]]:
    """The dollars for a million tokens under these names, each with the tokens of input above which they hold."""
    found: list[tuple[int, Decimal]] = []
    wanted = tuple(names)
    for one in standing:
        for value in (one.members.get(name) for name in wanted):
            if isinstance(value, Decimal):
                found.append((0, value))
            elif isinstance(value, Made):
                found += _tiers(value)
    return found


def _tiers(value: Made) -> list[tuple[int, Decimal]]:
    tiers = [_made(one).members for one in _items(value.members["tiers"])]
    return [
        (0, Decimal(str(value.members["base"]))),
        *((int(str(one["start"])), Decimal(str(one["price"]))) for one in tiers),
    ]


def _dearest(standing: Iterable[Made], names: Iterable[str], above: int | None = None) -> int:
    """The highest of the prices, in picodollars; of those of tokens above so many of input, or of all tiers.

    Of each name only the last tier that fits counts.
    """
    found = [Decimal(0)]
    for one in standing:
        for name in names:
            tiers = sorted(_prices([one], [name]))
            fitting = tiers if above is None else [tier for tier in tiers if tier[0] <= above][-1:]
            found += [price for _, price in fitting]
    return _up(max(found) * _TOKEN_PD)


def _conditions(variant: Made) -> frozenset[tuple[str, str]]:
    when = variant.members["when"]
    return frozenset((str(name), str(value)) for name, value in when.items()) if isinstance(when, dict) else frozenset()


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))


def _value(node: ast.expr | None) -> object:
    """What an expression of the package's data stands for."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List():
            return [_value(one) for one in node.elts]
        case ast.Dict():
            return {str(_value(name)): _value(value) for name, value in zip(node.keys, node.values, strict=True)}
        case ast.UnaryOp(op=ast.USub()):
            return -Decimal(str(_value(node.operand)))
        case ast.Call():
            return _called(node)
        case ast.Attribute():
            return node.attr
    raise SystemExit(f"the data has what is not known here: {ast.dump(node) if node else node}")


def _called(node: ast.Call) -> object:
    name = ast.unparse(node.func)
    first = tuple(_value(one) for one in node.args)
    if name == "Decimal":
        return Decimal(str(first[0]))
    if name == "datetime.date":
        year, month, day = (int(str(one)) for one in first)
        return date(year, month, day)
    return Made(name, {str(one.arg): _value(one.value) for one in node.keywords}, first)


def _made(value: object) -> Made:
    if not isinstance(value, Made):
        raise SystemExit(f"the data has {value!r} where something is made")
    return value


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise SystemExit(f"the data has {value!r} where a list is")
    return value


if __name__ == "__main__":
    main(sys.argv[1:])
