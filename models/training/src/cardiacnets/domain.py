"""The words that Python and TypeScript share: lead order, conditions and indices, read from `shared/domain`."""

from typing import Literal

from cardiacnets.tables import table

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
PERSON_FIELDS = ("sex", "age", "height", "weight")
"""Sex 0 male, 1 female; years; cm; kg."""


def _ids(name: str) -> tuple[str, ...]:
    return tuple(entry["id"] for entry in table(name))


CONDITIONS = _ids("conditions.json")
INDICES = _ids("indices.json")

BLOCKS = ("rbbb", "lbbb")
"""Complete bundle branch blocks, right and left, as `shared/inference/limits.ts` names them."""

View = Literal["short_axis", "four_chamber"]
VIEWS: tuple[View, ...] = ("short_axis", "four_chamber")
