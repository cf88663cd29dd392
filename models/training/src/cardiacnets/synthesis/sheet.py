"""A sheet of true and drawn cines, side by side, for a person to look at."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cardiacnets.data.cines import CROP
from cardiacnets.pictures import COLOURS
from cardiacnets.synthesis.draw import Cines

SHOWN = (0, 6)  # of 16 frames: end-diastole, and about end-systole
ZOOM = 1


def draw_sheet(true: Cines, drawn: Mapping[str, Cines], path: Path, people: int = 6) -> None:
    """A row a person: frames of the true cine, then of each sampler, of both views."""
    side = max(CROP.values())

    def strip(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        border = side - frames.shape[-1]
        half = border // 2
        return np.concatenate(
            [np.pad(frames[n], ((half, border - half), (half, border - half))) for n in SHOWN], axis=1
        )

    columns = {"true": true, **{f"SYNTHETIC, {name}": cines for name, cines in drawn.items()}}
    gap = np.full((side, 6), 255, dtype=np.uint8)
    rows = []
    for person in range(people):
        parts = [part for cines in columns.values() for view in CROP for part in (strip(cines[view][person]), gap)]
        rows.append(np.concatenate(parts, axis=1))
    sheet = Image.fromarray(np.concatenate(rows))
    sheet = sheet.resize((sheet.width * ZOOM, sheet.height * ZOOM), Image.Resampling.BICUBIC)
    titled = Image.new("L", (sheet.width, sheet.height + 24), 255)
    titled.paste(sheet, (0, 24))
    width = 2 * ZOOM * (len(SHOWN) * side + gap.shape[1])
    for place, name in enumerate(columns):
        ImageDraw.Draw(titled).text((place * width + 8, 4), name, fill=0, font_size=12)
    titled.quantize(COLOURS).save(path, optimize=True)
