"""Pictures of virtual people: an ECG on standard paper and both cines, one person a condition."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from ..pictures import save_figure
from .cmr import Cine, render_four_chamber, render_short_axis
from .ecg import render_ecg
from .leads import LEADS
from .noise import RATE_HZ
from .person import Person, draw_person

COLUMN_S = 2.5
LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
KINDS = ("healthy", "cad", "dcm", "hcm", "rcm", "pericarditis", "hf", "ph")
NOTICE = "SYNTHETIC: virtual people · ECG 25 mm/s, 10 mm/mV · investigational, not for diagnosis"
CROP = {"sax": 80, "4ch": 96}  # pixels around the heart, as the encoders see it


def is_kind(person: Person, kind: str) -> bool:
    """Whether the person shows that kind and, HF apart, nothing else."""
    present = int(person.conditions().sum())
    if kind == "healthy":
        return present == 0
    if kind == "hf":
        return person.hf > 0 and present <= 2
    alone = present - (person.hf > 0) == 1
    return alone and (person.cm_kind == kind or (kind in ("cad", "pericarditis", "ph") and getattr(person, kind) > 0))


def find_people(seed: int, kind: str, count: int) -> list[Person]:
    """The first people of the cohort of that kind, moderately ill or worse."""
    found: list[Person] = []
    index = 0
    while len(found) < count:
        person = draw_person(seed, index)
        index += 1
        severity = max(person.cad, person.cm, person.pericarditis, person.ph)
        if is_kind(person, kind) and (kind in ("healthy", "hf") or severity > 0.45):
            found.append(person)
    return found


def describe(person: Person) -> str:
    """One line: body, conditions, the main indices."""
    names = [person.cm_kind.upper()] if person.cm else []
    names += [name.upper() for name in ("cad", "pericarditis", "hf", "ph") if getattr(person, name)]
    return (
        f"#{person.index} {'F' if person.female else 'M'} {person.age_y:.0f} y · {' + '.join(names) or 'healthy'} · "
        f"EF {100 * person.lv_ef:.0f} % · EDV {person.lv_edv_ml:.0f} mL · mass {person.lv_mass_g:.0f} g"
    )


def draw_paper(axes: Axes, ecg_uv: np.ndarray, title: str) -> None:
    """[12, 5000] µV as three rows of four leads of 2.5 s and a rhythm strip of lead II."""
    width, spacing = 4 * COLUMN_S, 3.0
    height = 4 * spacing
    for step, line, colour in ((0.04, 0.15, "#f6cfcf"), (0.2, 0.4, "#eaa3a3")):
        axes.vlines(np.arange(0, width + step / 2, step), -height + 1, 2, color=colour, lw=line)
        axes.hlines(np.arange(-height + 1, 2.01, step * 2.5), 0, width, color=colour, lw=line)
    samples = int(COLUMN_S * RATE_HZ)
    for row, names in enumerate(LAYOUT):
        for column, name in enumerate(names):
            part = slice(column * samples, (column + 1) * samples)
            _trace(axes, ecg_uv[LEADS.index(name), part], column * COLUMN_S, -row * spacing, name)
    _trace(axes, ecg_uv[1], 0, -3 * spacing, "II")
    axes.set(xlim=(0, width), ylim=(-height + 1, 2), xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_aspect(0.4)  # 25 mm/s and 10 mm/mV


def _trace(axes: Axes, signal_uv: np.ndarray, start_s: float, level_mv: float, name: str) -> None:
    time = start_s + np.arange(signal_uv.size) / RATE_HZ
    axes.plot(time, level_mv + (signal_uv - np.median(signal_uv)) / 1000, color="black", lw=0.55)
    axes.text(start_s + 0.05, level_mv + 0.9, name, fontsize=7)


def draw_frames(axes: list[Axes], cine: Cine, size: int, view: str) -> None:
    """End-diastole and end-systole, cropped around the heart."""
    rows, columns = np.nonzero(cine.mask[0])
    field = cine.frames.shape[-1]
    top = int(np.clip((rows.min() + rows.max()) // 2 - size // 2, 0, field - size))
    left = int(np.clip((columns.min() + columns.max()) // 2 - size // 2, 0, field - size))
    cropped = cine.frames[:, top : top + size, left : left + size]
    for place, frame, name in zip(axes, (0, cine.end_systole), ("end-diastole", "end-systole"), strict=True):
        place.imshow(cropped[frame], cmap="gray", vmin=0, vmax=np.percentile(cropped, 99), interpolation="bilinear")
        place.set_title(f"{view} {name}", fontsize=7, loc="left")
        place.text(2, size - 3, "SYNTHETIC", color="white", fontsize=6)
        place.axis("off")


def draw_gallery(out_file: Path, seed: int, people_each: int = 1, kinds: tuple[str, ...] = KINDS) -> None:
    """A PNG sheet: a row for each person, `people_each` of each kind, with ECG, short axis and four chambers."""
    people = [person for kind in kinds for person in find_people(seed, kind, people_each)]
    figure, grid = plt.subplots(
        len(people), 5, figsize=(23, 4.7 * len(people) + 0.4), squeeze=False, width_ratios=(9, 3.5, 3.5, 3.5, 3.5)
    )
    for row, person in zip(grid, people, strict=True):
        ecg = render_ecg(person, seed)
        title = f"{describe(person)} · HR {person.heart_rate_bpm:.0f} · {ecg.electrics.conduction}"
        draw_paper(row[0], ecg.recorded_uv, title)
        draw_frames(row[1:3], render_short_axis(person, seed), CROP["sax"], "short axis")
        draw_frames(row[3:5], render_four_chamber(person, seed), CROP["4ch"], "four chambers")
    figure.suptitle(NOTICE, fontsize=9, y=0.998)
    figure.tight_layout(rect=(0, 0, 1, 0.995))
    save_figure(figure, out_file, dpi=45)
    plt.close(figure)
