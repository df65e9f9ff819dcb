"""What is read from /proc/cpuinfo."""

from bench.machine import is_virtual, processor

GUEST = "processor\t: 0\nmodel name\t: Some Processor 3 @ 2.0 GHz\nflags\t\t: fpu vme hypervisor lm\n"
METAL = "processor\t: 0\nmodel name\t: Some Processor 3 @ 2.0 GHz\nflags\t\t: fpu vme lm\n"


def test_the_processor_is_named() -> None:
    assert processor(GUEST) == "Some Processor 3 @ 2.0 GHz"


def test_one_without_a_name_is_described_by_its_architecture() -> None:
    assert processor("processor\t: 0\n") != ""


def test_a_hypervisor_shows_in_the_flags() -> None:
    assert is_virtual(GUEST)
    assert not is_virtual(METAL)
    assert not is_virtual("")
