"""Reads Prometheus' text format as strictly as promtool does, and fails where its linter would complain."""

import math
import re
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LABEL: Final = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
_SAMPLE: Final = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? ([0-9.]+)")
_PAIR: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
_KINDS: Final = {"counter", "gauge", "histogram"}

Labels = frozenset[tuple[str, str]]


class Exposition(NamedTuple):
    """What was read: the samples by series and labels, and the kinds by family."""

    samples: dict[tuple[str, Labels], float]
    kinds: dict[str, str]

    def value(self, name: str, **labels: str) -> float:
        """The one sample with exactly these labels."""
        return self.samples[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples with at least these labels."""
        wanted = frozenset(labels.items())
        return sum(value for (found, has), value in self.samples.items() if found == name and wanted <= has)


def read_exposition(text: str) -> Exposition:
    """Read a whole body. Raises AssertionError for whatever Prometheus or its linter would not take."""
    assert text.endswith("\n"), "the last line does not end"
    samples: dict[tuple[str, Labels], float] = {}
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    family = ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in helped, f"{family} stands twice"
            assert line.count(" ") > 2, f"{family} has no help text"
            helped.add(family)
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family, f"the type of {name} does not follow its help"
            assert kind in _KINDS
            kinds[name] = kind
            continue
        name, labels, value = _read_sample(line)
        assert kinds.get(family), f"{line} has no type"
        suffixes = ("_bucket", "_sum", "_count") if kinds[family] == "histogram" else ("",)
        assert name in {family + suffix for suffix in suffixes}, f"{line} does not belong to {family}"
        assert (name, labels) not in samples, f"{line} stands twice"
        samples[name, labels] = value
    found = Exposition(samples, kinds)
    for name, kind in kinds.items():
        _lint(name, kind)
    for name, kind in kinds.items():
        if kind == "histogram":
            _check_histogram(found, name)
    return found


def _read_sample(line: str) -> tuple[str, Labels, float]:
    matched = _SAMPLE.fullmatch(line)
    assert matched, f"not a sample: {line}"
    pairs = _PAIR.findall(matched[2] or "")
    assert len({name for name, _ in pairs}) == len(pairs), f"a label stands twice: {line}"
    return matched[1], frozenset(pairs), float(matched[3])


def _lint(name: str, kind: str) -> None:
    assert _NAME.fullmatch(name), f"{name} is not in snake case"
    assert name.endswith("_total") == (kind == "counter"), f"{name}: a counter ends in _total, and nothing else does"
    assert not re.search(r"_(milliseconds|ms|microseconds|us|minutes|kilobytes|kb)(_|$)", name), f"{name}: base units"
    assert not name.endswith(("_count", "_sum", "_bucket")), f"{name} ends like a part of a histogram"


def _check_histogram(found: Exposition, name: str) -> None:
    groups: dict[Labels, dict[float, float]] = {}
    for (series, labels), value in found.samples.items():
        if series != f"{name}_bucket":
            continue
        bound = dict(labels)["le"]
        rest = frozenset(pair for pair in labels if pair[0] != "le")
        groups.setdefault(rest, {})[math.inf if bound == "+Inf" else float(bound)] = value
    assert groups, f"{name} has no buckets"
    for labels, buckets in groups.items():
        counts = [buckets[bound] for bound in sorted(buckets)]
        assert counts == sorted(counts), f"{name}: the buckets are not cumulative"
        assert buckets[math.inf] == found.samples[f"{name}_count", labels], f"{name}: +Inf is not the count"
        assert (f"{name}_sum", labels) in found.samples
