"""How well the heart is found: Dice on held-out virtual people and on real slices, with a picture of both."""

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from cardiacnets.configuration import to_json

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from cardiacnets.cohort.cache import split_of
from cardiacnets.cohort.cmr import STACK, render_short_axis_stack
from cardiacnets.cohort.heart import LA_CAVITY, LV_CAVITY, LV_WALL, RA_CAVITY, RV_CAVITY
from cardiacnets.cohort.person import draw_person
from cardiacnets.cohort.scanner import PIXEL_MM
from cardiacnets.data.cines import CROP
from cardiacnets.data.cmr_preparation import (
    STACK_SLICES,
    PreparationError,
    Segmenter,
    crop,
    heart_centre,
    middle_slice,
    prepare,
    resample_pixels,
)
from cardiacnets.data.real_cmr import PIG_PHASES, PIG_SLICES, RealSlice
from cardiacnets.data.segmentation_frames import FrameSet
from cardiacnets.domain import View
from cardiacnets.pictures import save_figure
from cardiacnets.stages.segmentation import dice

LABELS = {
    LV_CAVITY: "lvCavity",
    LV_WALL: "lvWall",
    RV_CAVITY: "rvCavity",
    LA_CAVITY: "laCavity",
    RA_CAVITY: "raCavity",
}
# In the order of drawing: the wall's inner border is the cavity's, which shows.
COLOURS = {LV_WALL: "lime", LV_CAVITY: "red", RV_CAVITY: "deepskyblue", LA_CAVITY: "gold", RA_CAVITY: "magenta"}
STACK_PEOPLE = 50
TEST = 2  # of `split_of`
# The pig's 20 slices reach from the great vessels to beyond the apex: the ten in the middle are a stack for `prepare`.
PIG_STACK = slice(PIG_SLICES // 4, 3 * PIG_SLICES // 4)


@dataclass(frozen=True)
class Found:
    """A real slice with what the network says of it."""

    slice: RealSlice
    labels: NDArray[np.uint8]
    """[H, W] at the slice's own pixels."""
    crop_holds: float
    """Share of the contoured ventricle within the 80×80 crop around what was found; 0 when nothing was."""


def virtual_dice(segmenter: Segmenter, frames: FrameSet) -> dict[str, float]:
    """Mean Dice of each label over frames."""
    found = segmenter(frames.image)
    return {
        LABELS[label]: float(np.mean([dice(a == label, b == label) for a, b in zip(found, frames.mask, strict=True)]))
        for label in sorted(set(np.unique(frames.mask)) - {0})
    }


@dataclass(frozen=True)
class Held:
    """Share of a heart within a crop."""

    mean: float
    least: float


@dataclass(frozen=True)
class Stacks:
    """Whole stacks of virtual test people through `prepare`."""

    people: int
    refused: int
    middleSliceChosen: float  # named as in the JSON
    """Share whose prepared cine looks like the middle slice more than like any other."""
    cropHoldsHeart: Held
    """Of the middle slice's heart, both ventricles."""


@dataclass(frozen=True)
class Scores:
    """Dice over n slices."""

    mean: float
    median: float
    n: int


@dataclass(frozen=True)
class Summary:
    """Dice of the left ventricle on real slices, where contours are."""

    lvCavity: Scores
    lvWall: Scores | None
    lvCavityAndWall: Scores | None
    cropHoldsVentricle: float
    """Share of slices whose crop holds the whole ventricle."""

    def described(self) -> dict[str, Any]:
        """As JSON; what has no contours is left out."""
        return {name: value for name, value in to_json(self).items() if value is not None}


def virtual_stacks(segmenter: Segmenter, seed: int, people: int = STACK_PEOPLE) -> Stacks:
    """Whole short-axis stacks of 3 to 10 slices, base to apex, of virtual test people through `prepare`."""
    chosen, held, refused = [], [], 0
    test = (index for index in itertools.count() if split_of(seed, index) == TEST)
    for number, index in enumerate(itertools.islice(test, people)):
        slices = STACK_SLICES[0] + number % (STACK_SLICES[1] - STACK_SLICES[0] + 1)
        levels = tuple(np.linspace(STACK[0], STACK[-1], slices))
        cines = render_short_axis_stack(draw_person(seed, index), seed, levels)
        middle, size = cines[middle_slice(slices)], CROP["short_axis"]
        try:
            cine = prepare(np.stack([each.frames for each in cines]), (PIXEL_MM, PIXEL_MM), segmenter)
        except PreparationError:
            refused += 1
            continue
        centre = heart_centre(segmenter(middle.frames.astype(np.float32)))
        alike = [np.corrcoef(cine.ravel(), crop(each.frames, centre, size).ravel())[0, 1] for each in cines]
        chosen.append(int(np.argmax(alike)) == middle_slice(slices))
        held.append(np.count_nonzero(crop(middle.mask, centre, size)) / np.count_nonzero(middle.mask))
    return Stacks(people, refused, float(np.mean(chosen)), Held(float(np.mean(held)), float(np.min(held))))


def find(segmenter: Segmenter, slices: list[RealSlice]) -> list[Found]:
    """Label every slice, at the cohort's pixels, and bring the labels back to the slice's own."""
    return [_find_one(segmenter, item) for item in slices]


def _find_one(segmenter: Segmenter, item: RealSlice) -> Found:
    spacing = (item.pixel_mm, item.pixel_mm)
    labels = segmenter(resample_pixels(item.image[None], spacing))
    back = F.interpolate(torch.from_numpy(labels)[None], item.image.shape, mode="nearest-exact")[0, 0].numpy()
    drawn = item.endo if item.epi is None else item.epi
    try:
        row, column = heart_centre(labels)
    except PreparationError:
        return Found(item, back, 0.0)
    half = CROP["short_axis"] // 2
    at = np.argwhere(resample_pixels(drawn[None], spacing)[0] > 0.5) - (row, column)
    within = ((at >= -half) & (at < half)).all(axis=1)
    return Found(item, back, float(within.mean()) if len(at) else 1.0)


def summarise(found: list[Found]) -> Summary:
    """Mean and median Dice of cavity, wall and both, where contours are; and how often the crop holds the ventricle."""
    scores: dict[str, list[float]] = defaultdict(list)
    for item in found:
        cavity, wall = item.labels == LV_CAVITY, item.labels == LV_WALL
        scores["lvCavity"].append(dice(cavity, item.slice.endo))
        if item.slice.epi is not None:
            scores["lvWall"].append(dice(wall, item.slice.epi & ~item.slice.endo))
            scores["lvCavityAndWall"].append(dice(cavity | wall, item.slice.epi))
    of = {
        name: Scores(float(np.mean(values)), float(np.median(values)), len(values)) for name, values in scores.items()
    }
    holds = float(np.mean([item.crop_holds > 0.99 for item in found]))
    return Summary(of["lvCavity"], of.get("lvWall"), of.get("lvCavityAndWall"), holds)


def middle_of_each(found: list[Found]) -> list[Found]:
    """The middle contoured slice of every subject and phase: what `prepare` uses."""
    stacks: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for item in found:
        stacks[item.slice.subject, item.slice.phase].append(item)
    return [sorted(stack, key=lambda item: item.slice.level)[middle_slice(len(stack))] for stack in stacks.values()]


def report_segmentation(
    segmenters: Mapping[View, Segmenter],
    virtual: Mapping[View, FrameSet],
    people: list[RealSlice],
    pig: list[RealSlice],
    report: Path,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Write `report` (JSON) and the overlays beside it (`-overlays.png`), and return the figures.

    `virtual` holds frames of test people a view; `people` and `pig` may be empty where the real data are absent.
    """
    short_axis = segmenters["short_axis"]
    figures: dict[str, Any] = {
        **about,
        "virtualTest": {
            view: {"dice": virtual_dice(segmenters[view], frames), "frames": len(frames.image)}
            for view, frames in virtual.items()
        },
    }
    figures["virtualStacks"] = to_json(virtual_stacks(short_axis, about["cohortSeed"]))
    found_people, found_pig = find(short_axis, people), find(short_axis, pig)
    if people:
        figures["people"] = {
            "contours": "Sunnybrook, expert (Radau et al. 2009)",
            "endDiastole": summarise([item for item in found_people if item.slice.phase == "ED"]).described(),
            "endSystole": summarise([item for item in found_people if item.slice.phase == "ES"]).described(),
            "middleSlices": summarise(middle_of_each(found_people)).described(),
            "lvCavityBySubject": {
                subject: to_json(summarise([item for item in found_people if item.slice.subject == subject]).lvCavity)
                for subject in sorted({item.subject for item in people})
            },
        }
    if pig:
        middle_half = [item for item in found_pig if PIG_STACK.start <= item.slice.level < PIG_STACK.stop]
        figures["pig"] = {
            "contours": "the data set's own, automatic",
            "allSlices": summarise(found_pig).described(),
            "middleTenSlices": summarise(middle_half).described(),
            "prepared": list(prepare_pig(short_axis, pig).shape),
        }
    report.parent.mkdir(parents=True, exist_ok=True)
    rounded = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 3))
    report.write_text(json.dumps(rounded, indent=1) + "\n")
    picture = report.with_name(report.stem + "-overlays.png")
    draw_overlays(segmenters, virtual, found_people, found_pig, picture)
    return rounded


def prepare_pig(segmenter: Segmenter, pig: list[RealSlice]) -> NDArray[np.uint8]:
    """The pig's ten middle slices through the whole preparation, [50, 80, 80]."""
    images = np.stack([item.image for item in sorted(pig, key=lambda item: (item.level, int(item.phase)))])
    stack = images.reshape(PIG_SLICES, PIG_PHASES, *images.shape[1:])[PIG_STACK]
    return prepare(stack, (pig[0].pixel_mm, pig[0].pixel_mm), segmenter)


def draw_overlays(
    segmenters: Mapping[View, Segmenter],
    virtual: Mapping[View, FrameSet],
    people: list[Found],
    pig: list[Found],
    path: Path,
    columns: int = 9,
) -> None:
    """What the network found (colours) and what is drawn on the slice (white, dashed)."""
    rows: list[list[tuple[str, NDArray[Any], NDArray[Any], list[NDArray[Any]]]]] = []
    for view, frames in virtual.items():
        chosen = np.linspace(0, len(frames.image) - 1, columns).astype(int)
        found = segmenters[view](frames.image[chosen])
        truth = frames.mask[chosen]
        rows.append(
            [
                (f"virtual, {view.replace('_', ' ')}", image, labels, [mask == label for label in np.unique(mask)[1:]])
                for image, labels, mask in zip(frames.image[chosen], found, truth, strict=True)
            ]
        )
    middle = middle_of_each(people)
    for phase in ("ED", "ES"):
        rows.append([_panel(item) for item in middle if item.slice.phase == phase][:columns])
    wanted = [(level, phase) for level in (5, 8, 11, 14) for phase in ("0", "7")]
    rows.append([_panel(item) for item in pig if (item.slice.level, item.slice.phase) in wanted])
    rows = [row for row in rows if row]
    figure, axes = plt.subplots(len(rows), columns, figsize=(1.45 * columns, 1.6 * len(rows)), squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for row, panels in zip(axes, rows, strict=True):
        for axis, (title, image, labels, outlines) in zip(row, panels, strict=False):
            _draw(axis, title, image, labels, outlines)
    legend = "Red LV cavity, green wall, blue RV, yellow LA, magenta RA. White dashed: truth, or contours drawn."
    source = "Real slices: Sunnybrook Cardiac MR Database and Preclinical EP Dataset, CC0."
    figure.text(0.01, 0.002, f"{legend}  {source}", fontsize=6)
    figure.tight_layout(pad=0.3, rect=(0, 0.02, 1, 1))
    save_figure(figure, path, dpi=72)
    plt.close(figure)


def _panel(item: Found) -> tuple[str, NDArray[Any], NDArray[Any], list[NDArray[Any]]]:
    real = item.slice
    outlines = [outline for outline in (real.endo, real.epi) if outline is not None]
    return f"{real.subject}, slice {real.level}, {real.phase}", real.image, item.labels, outlines


def _draw(axis: Axes, title: str, image: NDArray[Any], labels: NDArray[Any], outlines: list[NDArray[Any]]) -> None:
    # Half the picture around what is drawn on it; a wrong label elsewhere is judged by the figures.
    row, column = heart_centre(np.stack(outlines).astype(np.uint8))
    reach = image.shape[0] // 4
    around = slice(max(row - reach, 0), row + reach), slice(max(column - reach, 0), column + reach)
    axis.imshow(image[around], cmap="gray", vmin=0, vmax=np.percentile(image[around], 99))
    for label, colour in COLOURS.items():
        part = (labels == label)[around]
        if part.any():
            axis.contour(part, [0.5], colors=colour, linewidths=0.9)
    for outline in outlines:
        if outline[around].any():
            axis.contour(outline[around], [0.5], colors="white", linewidths=0.6, linestyles="--")
    axis.set_title(title, fontsize=5.5, pad=2)
