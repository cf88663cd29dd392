"""The whole training, stage after stage: each stands in a folder of its own, resumes after a kill, and is done once its
result is there.

    cohort ─ segmentation ─ hearts ─ cmr (two views) ─┐
       └──── ecg (masked modelling, with PTB-XL) ─────┴─ align ─ screening ─ (export, evaluate) ─ ablation
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from cardiacnets import cohort
from cardiacnets.augment import AugmentConfig
from cardiacnets.cohort.cli import DEFAULT_SEED
from cardiacnets.data.real import RealSet, load_real, no_real
from cardiacnets.data.segmentation_frames import load_frames
from cardiacnets.data.virtual import VirtualSet, load_virtual
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.swin import View
from cardiacnets.models.unet import UNetConfig
from cardiacnets.stages import cmr_pretraining
from cardiacnets.stages.ablation import AblationConfig, run_ablation
from cardiacnets.stages.cines import CineSet, load_cines
from cardiacnets.stages.cmr_pretraining import CmrPretrainingConfig, load_encoder, pretrain_cmr
from cardiacnets.stages.contrastive import ContrastiveConfig, PairedSet, align, held_out_points, load_aligned_trunk
from cardiacnets.stages.ecg_pretraining import EcgPretrainingConfig, EcgSource, load_pretrained_trunk, pretrain_ecg
from cardiacnets.stages.hearts import find_hearts
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.screening import (
    TRAIN_FOLDS,
    VALIDATION_FOLD,
    ScreeningConfig,
    TrainingData,
    train_screening,
)
from cardiacnets.stages.segmentation import SegmentationConfig, load_segmenter, train_segmentation
from cardiacnets.weights import adopt

VIEWS: tuple[View, ...] = ("short_axis", "four_chamber")
SEGMENTATION_CLASSES: Mapping[View, int] = {"short_axis": 4, "four_chamber": 6}


def _segmentation(view: View, steps: int) -> SegmentationConfig:
    default = SegmentationConfig()
    return replace(
        default,
        unet=UNetConfig(classes=SEGMENTATION_CLASSES[view]),
        optimisation=replace(default.optimisation, steps=steps),
    )


def _cmr(view: View, steps: int) -> CmrPretrainingConfig:
    default = cmr_pretraining.compact(view)
    optimisation = replace(default.optimisation, steps=steps, learning_rate=1e-3, save_every=100)
    return replace(default, batch=16, validation_cines=128, optimisation=optimisation)


@dataclass(frozen=True)
class Programme:
    """Every stage's configuration, and how many people are drawn. The defaults are `compact`: two CPU cores, hours."""

    seed: int = DEFAULT_SEED
    people: int = 24_000
    cine_people: int = 6_000
    """The first of them, who have cines as well."""
    segmentation_people: int = 400
    segmentation: Mapping[View, SegmentationConfig] = field(
        default_factory=lambda: {
            "short_axis": _segmentation("short_axis", 900),
            "four_chamber": _segmentation("four_chamber", 700),
        }
    )
    cmr: Mapping[View, CmrPretrainingConfig] = field(default_factory=lambda: {view: _cmr(view, 1400) for view in VIEWS})
    ecg: EcgPretrainingConfig = field(
        default_factory=lambda: EcgPretrainingConfig(
            optimisation=OptimisationConfig(steps=800, learning_rate=2e-3, save_every=100)
        )
    )
    align: ContrastiveConfig = field(
        default_factory=lambda: ContrastiveConfig(
            batch=96,
            cine_copies=2,
            augment=AugmentConfig(reversal=0.1, inversion=0.1),
            optimisation=OptimisationConfig(steps=800, learning_rate=1e-3, save_every=100),
        )
    )
    screening: ScreeningConfig = field(
        default_factory=lambda: ScreeningConfig(
            real_batch=32,
            virtual_batch=32,
            optimisation=OptimisationConfig(steps=1800, learning_rate=1e-3, save_every=200),
        )
    )
    ablation: AblationConfig = field(default_factory=AblationConfig)


def ptbxl() -> RealSet:
    """PTB-XL without the test fold: training code never holds it."""
    return load_real((*TRAIN_FOLDS, VALIDATION_FOLD))


class Run:
    """One run of a programme in a folder; each stage is a method that returns its result, made if need be."""

    def __init__(
        self,
        programme: Programme,
        folder: Path,
        workers: int = 1,
        load_real: Callable[[], RealSet] = ptbxl,
        *,
        adopts: bool = False,
    ) -> None:
        """`adopts`: take the weights that the repository keeps (`weights.py`) for stages that are not done."""
        self.programme, self.folder, self.workers, self.load_real = programme, folder, workers, load_real
        self.adopts = adopts

    def _finished(self, stage: str) -> tuple[Path, bool]:
        """Where a stage leaves its weights, and whether they are there."""
        path = self.folder / stage / "model.pt"
        return path, path.exists() or (self.adopts and adopt(stage, self.folder))

    @cached_property
    def cohort_dir(self) -> Path:
        """Stage `cohort`."""
        p = self.programme
        return cohort.generate(self.folder / "cohort", p.people, p.seed, self.workers, cines=p.cine_people)

    @cached_property
    def virtual(self) -> VirtualSet:
        """All virtual people's ECGs as the encoder sees them."""
        return load_virtual(self.cohort_dir)

    @property
    def paired_people(self) -> VirtualSet:
        """The people who have cines."""
        return self.virtual.rows(slice(0, self.programme.cine_people))

    def segmentation(self, view: View) -> Path:
        """Stage `segmentation`."""
        done, is_finished = self._finished(f"segmentation/{view}")
        if not is_finished:
            frames = load_frames(view, self.programme.segmentation_people, self.programme.seed)
            train_segmentation(self.programme.segmentation[view], frames, done.parent)
        return done

    def hearts(self, view: View) -> Path:
        """Stage `hearts`: where the heart lies in each cine."""
        done = self.folder / "hearts" / f"{view}.npy"
        if not done.exists():
            find_hearts(load_cines(self.cohort_dir, view).frames, load_segmenter(self.segmentation(view)), done)
        return done

    def cines(self, view: View) -> CineSet:
        """The cines of a view, each with the place of its heart."""
        return replace(load_cines(self.cohort_dir, view), centre=np.load(self.hearts(view)))

    def cmr(self, view: View) -> Path:
        """Stage `cmr`."""
        done, is_finished = self._finished(f"cmr/{view}")
        if not is_finished:
            pretrain_cmr(self.programme.cmr[view], self.cines(view), done.parent)
        return done

    def ecg(self) -> Path:
        """Stage `ecg`: masked modelling on real training folds and virtual training people."""
        done, is_finished = self._finished("ecg")
        if not is_finished:
            real, virtual = self.load_real(), self.virtual
            is_validation = real.fold == VALIDATION_FOLD
            split = {name: np.flatnonzero(virtual.split == name) for name in ("train", "val")}
            sources = [
                EcgSource("real", real.millivolt, np.flatnonzero(~is_validation), np.flatnonzero(is_validation)),
                EcgSource("virtual", virtual.millivolt, split["train"], split["val"]),
            ]
            pretrain_ecg(self.programme.ecg, sources, done.parent)
        return done

    def align(self) -> Path:
        """Stage `align`: contrast with both frozen CMR encoders."""
        done, is_finished = self._finished("align")
        if not is_finished:
            encoders = {view: load_encoder(self.cmr(view)) for view in VIEWS}
            align(self.programme.align, self.pairs, encoders, done.parent, load_pretrained_trunk(self.ecg()))
        return done

    @property
    def pairs(self) -> PairedSet:
        """ECG and cines of the people who have both."""
        people = self.paired_people
        return PairedSet(people.millivolt, people.person, {view: self.cines(view) for view in VIEWS}, people.split)

    def held_out_points(self) -> dict[str, np.ndarray]:
        """Test people's ECGs and cines in the shared space, [n,256] each: for retrieval and its picture."""
        return held_out_points(self.align(), self.pairs, {view: load_encoder(self.cmr(view)) for view in VIEWS})

    def screening(self) -> Path:
        """Stage `screening`: what the bundle ships, from the aligned trunk."""
        done, is_finished = self._finished("screening")
        if not is_finished:
            data = TrainingData(self.load_real(), self.virtual)
            train_screening(self.programme.screening, data, done.parent, load_aligned_trunk(self.align()))
        return done

    def ablation(self) -> Path:
        """Stage `ablation`, on the people who have cines."""
        starts: dict[str, Callable[[], Trunk | None]] = {
            "scratch": lambda: None,
            "masked": lambda: load_pretrained_trunk(self.ecg()),
            "contrastive": lambda: load_aligned_trunk(self.align()),
        }
        p = self.programme
        return run_ablation(p.ablation, p.screening, self.ablation_data, starts, self.folder / "ablation")

    @property
    def ablation_data(self) -> TrainingData:
        """Virtual people only."""
        return TrainingData(no_real(), self.paired_people)


STAGES: Mapping[str, Callable[[Run], list[Path]]] = {
    "cohort": lambda run: [run.cohort_dir],
    "segmentation": lambda run: [run.segmentation(view) for view in VIEWS],
    "hearts": lambda run: [run.hearts(view) for view in VIEWS],
    "cmr": lambda run: [run.cmr(view) for view in VIEWS],
    "ecg": lambda run: [run.ecg()],
    "align": lambda run: [run.align()],
    "screening": lambda run: [run.screening()],
    "ablation": lambda run: [run.ablation()],
}
"""Stage → what makes it, in the order of the programme."""
