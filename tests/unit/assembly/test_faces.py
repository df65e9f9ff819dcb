"""Every preset has what serves it."""

from jotgate.assembly.faces import SURFACES
from jotgate.cli.face_lines import EXAMPLES
from jotgate.core.decisions import DECISIONS
from jotgate.core.dialects import OF_FACES
from jotgate.core.preset_names import PRESETS
from jotgate.stores.presets import READERS


def test_every_preset_is_read_served_told_and_has_a_dialect() -> None:
    assert set(PRESETS) == set(SURFACES) == set(READERS) == set(EXAMPLES) == set(OF_FACES) - {DECISIONS}
