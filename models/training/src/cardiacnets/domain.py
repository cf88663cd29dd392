"""The words that Python and TypeScript share: lead order, conditions and indices, read from `shared/domain`."""

import json
from pathlib import Path
from typing import Literal

from cardiacnets.signal.profile import REPOSITORY

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
PERSON_FIELDS = ("sex", "age", "height", "weight")
"""Sex 0 male, 1 female; years; cm; kg."""


def _ids(path: Path) -> tuple[str, ...]:
    return tuple(entry["id"] for entry in json.loads(path.read_text()))


CONDITIONS = _ids(REPOSITORY / "shared" / "domain" / "conditions.json")
INDICES = _ids(REPOSITORY / "shared" / "domain" / "indices.json")

View = Literal["short_axis", "four_chamber"]
VIEWS: tuple[View, ...] = ("short_axis", "four_chamber")
