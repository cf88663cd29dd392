"""The whole training, stage after stage.

Each stage has a folder of its own, resumes after a kill, and is done once its result is there. A whole training leaves
`distillation` out unless its student is shipped.

    cohort ─ segmentation ─ hearts ─┬─ cmr (two views) ─┐
       │                            └─ vae ─────────────│────────┬─ diffusion ─ distillation
       └──── ecg (masked modelling, with PTB-XL) ───────┴─ align ┴─ screening ─ (export, evaluate) ─ ablation
"""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from cardiacnets import cohort
from cardiacnets.cli.cohort import DEFAULT_SEED
from cardiacnets.configuration import ConfigurationError, read_changes, to_json
from cardiacnets.data.cines import CROP, CineSet
from cardiacnets.data.latents import Conditions, LatentSet
from cardiacnets.data.paired import PairedSet
from cardiacnets.data.real import RealSet, load_real
from cardiacnets.data.segmentation_frames import load_frames
from cardiacnets.data.source import CohortSource, load_source
from cardiacnets.data.virtual import VirtualSet, load_virtual, no_virtual
from cardiacnets.device import process
from cardiacnets.domain import VIEWS, View
from cardiacnets.models.augment import AugmentConfig
from cardiacnets.models.denoiser import Denoiser
from cardiacnets.models.diffusion import ScheduleConfig
from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.models.trunks import AnyTrunk, make_trunk, trunk_config
from cardiacnets.models.unet import UNetConfig
from cardiacnets.models.unfold import load_bundle
from cardiacnets.models.unfold import load_encoder as load_encoder_of
from cardiacnets.signal.profile import REPOSITORY
from cardiacnets.stages.ablation import AblationConfig, run_ablation
from cardiacnets.stages.cmr_pretraining import ViewsConfig, load_encoder, pretrain_views
from cardiacnets.stages.contrastive import ContrastiveConfig, align, held_out_points, load_aligned_trunk
from cardiacnets.stages.diffusion import DiffusionConfig, encode_ecgs, fitted_to, load_denoiser, train_diffusion
from cardiacnets.stages.distillation import STEPS, DistillationConfig, Method, train_distillation
from cardiacnets.stages.ecg_pretraining import EcgPretrainingConfig, EcgSource, load_pretrained_trunk, pretrain_ecg
from cardiacnets.stages.further import FurtherConfig, features_of, train_further
from cardiacnets.stages.hearts import find_hearts
from cardiacnets.stages.loop import OptimisationConfig, first_process_first, save, save_model
from cardiacnets.stages.screening import (
    TRAIN_FOLDS,
    VALIDATION_FOLD,
    ScreeningConfig,
    TrainingData,
    load_trained,
    mixed,
    train_screening,
)
from cardiacnets.stages.segmentation import SegmentationConfig, load_segmenter, train_segmentation
from cardiacnets.stages.short_cines import short_cines
from cardiacnets.stages.vae import ShortCineSet, VaeTrainingConfig, encode_cines, load_vae, train_vae
from cardiacnets.weights import BUNDLE, adopt

VIRTUAL = "virtual"
NORM_ECGS = 128
"""Of each set, on which a bundle's batch norms get their statistics back."""
SEGMENTATION_CLASSES: Mapping[View, int] = {"short_axis": 4, "four_chamber": 6}


def _segmentation(view: View, steps: int) -> SegmentationConfig:
    default = SegmentationConfig()
    return replace(
        default,
        unet=UNetConfig(classes=SEGMENTATION_CLASSES[view]),
        optimisation=replace(default.optimisation, steps=steps),
    )


DrawingEncoder = Literal["aligned", "screening"]
SamplerName = Literal["full", "quick", "distilled"]


@dataclass(frozen=True)
class Programme:
    """Every stage's configuration, and how many people are drawn. The defaults are `compact`: two CPU cores, hours."""

    seed: int = DEFAULT_SEED
    people: int = 24_000
    cine_people: int = 6_000
    """The first of them, who have cines as well."""
    own: int | None = None
    """ECGs of a cohort of one's own that are read, those with CMR before the others; None: all."""
    segmentation_people: int = 400
    segmentation: Mapping[View, SegmentationConfig] = field(
        default_factory=lambda: {
            "short_axis": _segmentation("short_axis", 900),
            "four_chamber": _segmentation("four_chamber", 700),
        }
    )
    cmr: ViewsConfig = field(
        default_factory=lambda: ViewsConfig(
            optimisation=OptimisationConfig(steps=750, learning_rate=1e-3, warm_up=0.05, save_every=75)
        )
    )
    ecg: EcgPretrainingConfig = field(
        default_factory=lambda: EcgPretrainingConfig(
            optimisation=OptimisationConfig(steps=800, learning_rate=2e-3, save_every=100)
        )
    )
    align: ContrastiveConfig = field(
        default_factory=lambda: ContrastiveConfig(
            batch=96,
            # A resized crop changes a heart's size, of which the ECG tells. Median rank among 565 validation people
            # after 300 steps: short axis 44 without copies, 70 with two; four-chamber 154 and 172.
            cine_copies=0,
            augment=AugmentConfig(reversal=0.1, inversion=0.1),
            optimisation=OptimisationConfig(steps=800, learning_rate=1e-3, save_every=100),
        )
    )
    screening: ScreeningConfig = field(
        default_factory=lambda: ScreeningConfig(
            real_batch=20,
            virtual_batch=22,
            isolated_batch=6,
            isolated_weight=0.04,
            average=0.995,
            optimisation=OptimisationConfig(steps=4000, learning_rate=1.5e-3, save_every=400),
        )
    )
    further: FurtherConfig = field(default_factory=FurtherConfig)
    """`screening` where it goes on from a bundle and keeps that bundle's convolutions."""
    onward: ScreeningConfig = field(
        default_factory=lambda: ScreeningConfig(
            real_batch=24,
            virtual_batch=22,
            isolated_batch=6,
            isolated_weight=0.03,
            teacher_weight=1.5,
            average=0.998,
            optimisation=OptimisationConfig(steps=4400, learning_rate=6e-4, save_every=275),
        )
    )
    """`screening` where it goes on from a bundle with all of its weights: a small step for the convolutions."""
    onward_share: float = 0.85
    """Of its weights in the mean with the bundle's, which is shipped (Wortsman et al. 2022); chosen on fold 8."""
    ablation: AblationConfig = field(default_factory=AblationConfig)
    vae: VaeTrainingConfig = field(default_factory=VaeTrainingConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)
    drawing_encoder: DrawingEncoder = "screening"
    """The frozen encoder that the denoiser is conditioned on: the aligned one, as in the paper, or what `screening`
    made of it. Of virtual people's LV EF, a linear reading of its embedding finds R .53, of the aligned one's .44."""
    drawn_people: int = 6_000
    """The first of those with cines, who teach how to draw: each of them is seen eleven times."""
    draw_steps: int = 25
    """Of the sampler `full`."""
    quick_steps: int = 8
    """Of the sampler `quick`: the same denoiser with the same guidance."""
    draw_guidance: float = 2.0
    """Of both, and of a student's teacher. More of it shows more of the ECG, and exaggerates
    (`cardiacnets-train synthesis guidance`)."""
    default_sampler: SamplerName = "quick"
    """That the bundle draws with if none is named. With `distilled`, the bundle has a student too, and a whole training
    makes it (docs/decisions/0012)."""
    choice_steps: int = 1000
    """Of the short `diffusion` trainings that what it predicts is chosen by (`cardiacnets-train synthesis choices`)."""

    def check(self) -> None:
        """See that what one stage leaves fits the next.

        Raises:
            ConfigurationError: it does not.
        """
        masked, aligned, screened = self.ecg.mim.encoder, self.align.encoder, self.screening.encoder
        if not masked == aligned == screened:
            raise ConfigurationError(
                "ecg.mim.encoder, align.encoder and screening.encoder differ, but each goes on from another"
            )
        denoiser, has = self.diffusion.denoiser, "diffusion.denoiser"
        for name, here, there in (
            ("token_width", denoiser.token_width, aligned.token_width),
            ("embedding", denoiser.embedding, aligned.embedding),
            ("frames", denoiser.frames, self.vae.frames),
            ("channels", denoiser.channels, self.vae.vae.channels),
        ):
            if here != there:
                raise ConfigurationError(f"{has}.{name} is {here}, but what it gets has {there}")
        if self.default_sampler == "distilled" and not self.distils:
            raise ConfigurationError("default_sampler is distilled, but a denoiser that predicts ε has no student")

    @property
    def trunk_hz(self) -> int:
        """Rate of the ECGs that the encoder reads."""
        return self.screening.encoder.rate_hz

    @property
    def distils(self) -> bool:
        """Whether the denoiser can be distilled: only one that predicts v says anything of noise alone."""
        return self.diffusion.schedule.prediction == "v"


COMPACT, PAPER = "compact", "paper"
PAPER_FILE = Path(__file__).parent / "configurations" / "paper.toml"


def read_programme(name: str) -> Programme:
    """`compact`, `paper`, or a TOML file with what it changes in `compact` (as `paper` is written).

    Raises:
        ConfigurationError: the file cannot be read, or says something that no programme has.
    """
    if name == COMPACT:
        return Programme()
    path = PAPER_FILE if name == PAPER else Path(name).expanduser()
    if path.suffix != ".toml":
        raise ConfigurationError(f"{name!r} is none of {COMPACT}, {PAPER} and a .toml file")
    programme = read_changes(Programme(), path)
    programme.check()
    return programme


def rehearsal(programme: Programme, own: int) -> Programme:
    """The same sizes in two steps of every stage, on `own` ECGs of a cohort of one's own."""

    def short(config: _Rehearsed) -> _Rehearsed:
        optimisation = replace(config.optimisation, steps=REHEARSED_STEPS, save_every=1)
        few = {name: min(getattr(config, name), FEW) for name in VALIDATED_ON if hasattr(config, name)}
        return replace(config, optimisation=optimisation, **few)

    p = programme
    return replace(
        p,
        own=own,
        segmentation={view: short(config) for view, config in p.segmentation.items()},
        segmentation_people=min(p.segmentation_people, FEW),
        cmr=short(p.cmr),
        ecg=short(p.ecg),
        align=short(p.align),
        screening=short(p.screening),
        vae=short(p.vae),
        diffusion=short(p.diffusion),
        distillation=short(p.distillation),
    )


_Rehearsed = TypeVar(
    "_Rehearsed",
    SegmentationConfig,
    ViewsConfig,
    EcgPretrainingConfig,
    ContrastiveConfig,
    ScreeningConfig,
    VaeTrainingConfig,
    DiffusionConfig,
    DistillationConfig,
)
REHEARSED_STEPS, FEW = 2, 16
VALIDATED_ON = ("validation_cines", "validation_frames", "validation_ecgs")
_Stage = TypeVar("_Stage", ViewsConfig, EcgPretrainingConfig, ContrastiveConfig, ScreeningConfig)


def in_bfloat16(programme: Programme) -> Programme:
    """The same under bfloat16 autocast, but for segmentation: group norm makes that slower (246 ms a step for 197)."""

    def changed(config: _Stage) -> _Stage:
        return replace(config, optimisation=replace(config.optimisation, bfloat16=True))

    return replace(
        programme,
        cmr=changed(programme.cmr),
        ecg=changed(programme.ecg),
        align=changed(programme.align),
        screening=changed(programme.screening),
        onward=changed(programme.onward),
    )


def ptbxl() -> RealSet:
    """PTB-XL without the test fold: training code never holds it."""
    return load_real((*TRAIN_FOLDS, VALIDATION_FOLD))


def write_provenance(folder: Path, data: str, start: Path | None) -> None:
    """Keep beside a run what its weights come from: its commit, the date, the people, the bundle before it."""
    folder.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    found = {"commit": commit or "unknown", "date": datetime.now(UTC).strftime("%Y-%m-%d"), "people": data}
    if start is not None:
        before = json.loads((start / "manifest.json").read_text())
        found["from"] = f"{before['name']}@{before['version']}, trained at {before['training']['commit'][:12]}"
    (folder / "provenance.json").write_text(json.dumps(found, indent=1) + "\n")


class Run:
    """One run of a programme in a folder; each stage is a method that returns its result, made if need be."""

    def __init__(
        self,
        programme: Programme,
        folder: Path,
        workers: int = 1,
        load_real: Callable[[], RealSet] = ptbxl,
        *,
        data: str = VIRTUAL,
        adopts: bool = False,
        start: Path | None = None,
        keeps_convolutions: bool = True,
    ) -> None:
        """`data` as `load_source` takes it: the people with CMR and truth, in place of virtual ones.

        `adopts`: take the weights that the repository keeps (`weights.py`) for stages that are not done, of a cohort of
        one's own those alone that never learn from it.
        `start`: a bundle whose network `screening` goes on from, in place of the aligned trunk.
        `keeps_convolutions`: then its heads alone learn, on what its convolutions make of an ECG.
        """
        self.programme, self.folder, self.workers, self.load_real = programme, folder, workers, load_real
        self.data, self.adopts, self.start = data, adopts, start
        self.keeps_convolutions = keeps_convolutions

    @property
    def is_virtual(self) -> bool:
        """Whether the people are virtual."""
        return self.data == VIRTUAL

    def _finished(self, stage: str) -> tuple[Path, bool]:
        """Where a stage leaves its weights, and whether they are there."""
        path = self.folder / stage / "model.pt"
        may_adopt = self.adopts and (self.is_virtual or stage.startswith("segmentation"))
        with first_process_first():
            return path, path.exists() or (may_adopt and adopt(stage, self.folder))

    @cached_property
    def cohort_dir(self) -> Path:
        """Stage `cohort`, of virtual people."""
        p = self.programme
        with first_process_first():
            return cohort.generate(self.folder / "cohort", p.people, p.seed, self.workers, cines=p.cine_people)

    @cached_property
    def people(self) -> CohortSource:
        """ECGs, truth and cines; the people with cines come first."""
        spec = f"virtual:{self.cohort_dir}" if self.is_virtual else self.data
        with first_process_first():
            return load_source(spec, self.workers, self.programme.trunk_hz, self.programme.own)

    @property
    def has_cmr(self) -> bool:
        """Whether any of the people have cines."""
        return self.is_virtual or bool(self.people.cines)

    @property
    def virtual(self) -> VirtualSet:
        """All virtual people's ECGs as the encoder sees them; nobody where the people are real."""
        return load_virtual(self.cohort_dir) if self.is_virtual else no_virtual(self.programme.trunk_hz)

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
            weights, frames = self.segmentation(view), self.people.cines[view].frames
            with first_process_first():
                if not done.exists():
                    find_hearts(frames, load_segmenter(weights), done)
        return done

    def cines(self, view: View) -> CineSet:
        """The cines of a view, each with the place of its heart."""
        return replace(self.people.cines[view], centre=np.load(self.hearts(view)))

    def cmr(self, view: View) -> Path:
        """Stage `cmr`."""
        done, is_finished = self._finished(f"cmr/{view}")
        if not is_finished:
            pretrain_views(self.programme.cmr, {each: self.cines(each) for each in VIEWS}, done.parent.parent)
        return done

    def ecg(self) -> Path:
        """Stage `ecg`: masked modelling on the people's ECGs, and with virtual people on real ones by turns."""
        done, is_finished = self._finished("ecg")
        if not is_finished:
            people = self.people
            rows = [np.flatnonzero(people.split == name) for name in ("train", "val")]
            sources = [EcgSource(people.name, people.millivolt, *rows)]
            if self.is_virtual:
                real = self.load_real()
                is_validation = real.fold == VALIDATION_FOLD
                rows = [np.flatnonzero(~is_validation), np.flatnonzero(is_validation)]
                sources.insert(0, EcgSource("real", real.millivolt, *rows))
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
        return replace(self.people.pairs(), cines={view: self.cines(view) for view in VIEWS})

    def held_out_points(self) -> dict[str, np.ndarray]:
        """Test people's ECGs and cines in the shared space, [n,256] each: for retrieval and its picture."""
        return held_out_points(self.align(), self.pairs, {view: load_encoder(self.cmr(view)) for view in VIEWS})

    def _best_trunk(self) -> AnyTrunk:
        """The aligned one; where the people have no CMR, that of virtual people, if the repository keeps it."""
        if self.has_cmr:
            return load_aligned_trunk(self.align())
        if self.programme.align.encoder == EncoderConfig() and adopt("align", self.folder):
            return load_aligned_trunk(self.folder / "align" / "model.pt")
        return load_pretrained_trunk(self.ecg())

    def screening(self) -> Path:
        """Stage `screening`: what the bundle ships, from the best trunk there is."""
        done, is_finished = self._finished("screening")
        if not is_finished:
            data = TrainingData(self.load_real() if self.is_virtual else self.people.real_set(), self.virtual)
            config = self.programme.screening
            write_provenance(done.parent, self.data, self.start)
            if self.start is None:
                train_screening(config, data, done.parent, self._best_trunk())
            else:
                some = np.concatenate([each.millivolt[:NORM_ECGS] for each in (data.real, data.virtual)])
                start = self._screen_of(self.start, some)
                if not self.keeps_convolutions:
                    return self._all_weights(data, start, done.parent)
                further, trunk = self.programme.further, start.encoder.trunk
                assert isinstance(trunk, Trunk)
                features = {
                    name: features_of(trunk, some.millivolt, further.features, further.optimisation.seed)
                    for name, some in (("real", data.real), ("virtual", data.virtual))
                }
                train_further(further, data, features, start, done.parent)
        return done

    def _all_weights(self, data: TrainingData, start: Screen, out_dir: Path) -> Path:
        """`onward` from a bundle's network, and the mean of the two."""
        first = self.folder / "onward" / "model.pt"
        if not first.exists():
            train_screening(self.programme.onward, data, first.parent, start)
        onward, config = load_trained(first)
        mean = mixed(start, onward, self.programme.onward_share).state_dict()
        config = dict(config) | {"share": self.programme.onward_share}
        save_model(out_dir / "model.pt", config, {f"average.{name}": mean[name] for name in mean})
        return out_dir / "model.pt"

    @cached_property
    def short_cines(self) -> ShortCineSet:
        """What is learned and drawn by `vae` and the stages after it."""
        some = slice(0, self.programme.drawn_people)
        cines = {view: self.cines(view).part(some) for view in VIEWS}
        frames, folder = self.programme.vae.frames, self.folder / "vae"
        with first_process_first():
            short = {view: short_cines(cines[view], CROP[view], folder / f"{view}.npy", frames) for view in VIEWS}
        return ShortCineSet(short, cines[VIEWS[0]].split)

    def vae(self) -> Path:
        """Stage `vae`."""
        done, is_finished = self._finished("vae")
        if not is_finished:
            train_vae(self.programme.vae, self.short_cines, done.parent)
        return done

    @cached_property
    def latents(self) -> LatentSet:
        """Everybody's cines as the VAE sees them."""
        vae, cines, folder = load_vae(self.vae()), self.short_cines, self.folder / "diffusion"
        with first_process_first():
            made = {view: encode_cines(vae, cines, view, folder, side=self.programme.vae.side) for view in VIEWS}
        return LatentSet(made, cines.split)

    def drawing_trunk(self) -> AnyTrunk:
        """The encoder that the denoiser is conditioned on, as it was when the denoiser was trained.

        It is kept as `diffusion/encoder.pt`, so that another `align` or `screening` leaves the denoiser what it knows.
        That of the repository's denoiser is in the bundle.
        """
        path = self.folder / "diffusion" / "encoder.pt"
        if not path.exists():
            _, is_finished = self._finished("diffusion")
            trunk = self._shipped_drawing_trunk() if is_finished else self._chosen_drawing_trunk()
            with first_process_first():
                if process()[0] == 0:
                    save(path, {"config": to_json(self.programme.align.encoder), "model": trunk.state_dict()})
            return trunk
        state = torch.load(path, weights_only=True)
        trunk = make_trunk(trunk_config(state["config"]))
        trunk.load_state_dict(state["model"])
        return trunk.eval()

    def _chosen_drawing_trunk(self) -> AnyTrunk:
        if self.programme.drawing_encoder == "aligned":
            return load_aligned_trunk(self.align())
        if self.start is not None and not self._finished("screening")[1]:
            return self._screen_of(self.start, self.people.millivolt[:NORM_ECGS]).encoder.trunk
        return load_trained(self.screening())[0].encoder.trunk

    def _screen_of(self, bundle: Path, millivolt: np.ndarray) -> Screen:
        """A bundle's network; `millivolt` [n,12,1000] are ECGs that its batch norms are unfolded on."""
        config = self.programme.screening.encoder
        if not isinstance(config, EncoderConfig):
            raise ValueError("a bundle to go on from has the compact encoder: leave out --from-bundle")
        return load_bundle(bundle, config, torch.from_numpy(millivolt.astype(np.float32)))

    def _shipped_drawing_trunk(self) -> AnyTrunk:
        config = self.programme.align.encoder
        assert isinstance(config, EncoderConfig), "the repository keeps no denoiser of another encoder"
        some = torch.from_numpy(self.people.millivolt[:NORM_ECGS].astype(np.float32))
        name = json.loads((BUNDLE / "manifest.json").read_text())["synthesis"]["encoder"]
        return load_encoder_of(BUNDLE / name, config, some)

    def _denoiser_of_before(self, people: int = 2000) -> Denoiser | None:
        """The kept denoiser, fitted to the encoder that the next one is conditioned on; for a run with `start`."""
        if self.start is None:
            return None
        kept = self.folder / "kept"
        if not adopt("diffusion", kept):
            raise ValueError("the repository keeps no denoiser to go on from: leave out --from-bundle")
        network, _ = load_denoiser(kept / "diffusion" / "model.pt")
        some = self.people.pairs().ecgs(slice(0, people))
        known = encode_ecgs(
            self._shipped_drawing_trunk(), some, replace(self.programme.diffusion, condition_copies=0), kept
        )
        rows = np.arange(len(some.split))
        fitted, explained = fitted_to(network, known.take(rows), self.conditions.take(rows))
        tqdm.write(f"R² of the layers that read the ECG: {', '.join(f'{k} {v:.2f}' for k, v in explained.items())}")
        return fitted

    @cached_property
    def conditions(self) -> Conditions:
        """Everybody's ECG as the frozen encoder sees it."""
        trunk, some = self.drawing_trunk(), slice(0, self.programme.drawn_people)
        with first_process_first():
            pairs = self.people.pairs().ecgs(some)
            return encode_ecgs(trunk, pairs, self.programme.diffusion, self.folder / "diffusion")

    def diffusion(self) -> Path:
        """Stage `diffusion`."""
        done, is_finished = self._finished("diffusion")
        if not is_finished:
            start = self._denoiser_of_before()
            train_diffusion(self.programme.diffusion, self.latents, self.conditions, done.parent, start)
        return done

    @property
    def has_student(self) -> bool:
        """Whether `distillation` is done."""
        return (self.folder / "distillation" / "model.pt").exists()

    def distillation(self) -> Path:
        """Stage `distillation`."""
        return self._distil(self.programme.distillation, "distillation")

    def diffusion_by(self, schedule: ScheduleConfig) -> Path:
        """For comparison: a short `diffusion` with some schedule."""
        done, is_finished = self._finished(f"choices/diffusion-{schedule.prediction}")
        if not is_finished:
            config = replace(self.programme.diffusion, schedule=schedule)
            optimisation = replace(config.optimisation, steps=self.programme.choice_steps)
            config = replace(config, optimisation=optimisation)
            train_diffusion(config, self.latents, self.conditions, done.parent)
        return done

    def distillation_by(self, method: Method) -> Path:
        """For comparison: the stage in some way, with as much computing as in the programme's."""
        default = self.programme.distillation
        if method == default.method:
            return self.distillation()
        steps = round(default.optimisation.steps * STEPS[method] / STEPS[default.method])
        optimisation = replace(default.optimisation, steps=steps)
        return self._distil(
            replace(default, method=method, optimisation=optimisation), f"choices/distillation-{method}"
        )

    def _distil(self, config: DistillationConfig, stage: str) -> Path:
        done, is_finished = self._finished(stage)
        if not is_finished:
            teacher, _ = load_denoiser(self.diffusion())
            p = self.programme.diffusion
            guidance = self.programme.draw_guidance
            config = replace(config, denoiser=p.denoiser, schedule=p.schedule, guidance=guidance)
            train_distillation(config, self.latents, self.conditions, teacher, done.parent)
        return done

    def align_shuffled(self) -> Path:
        """For comparison: `align` again, but each ECG belongs to another person's cines."""
        done, is_finished = self._finished("align-shuffled")
        if not is_finished:
            encoders = {view: load_encoder(self.cmr(view)) for view in VIEWS}
            config = replace(self.programme.align, shuffled=True)
            align(config, self.pairs, encoders, done.parent, load_pretrained_trunk(self.ecg()))
        return done

    def ablation(self) -> Path:
        """Stage `ablation`, on virtual people."""
        starts: dict[str, Callable[[], AnyTrunk | None]] = {
            "scratch": lambda: None,
            "masked": lambda: load_pretrained_trunk(self.ecg()),
            "shuffled": lambda: load_aligned_trunk(self.align_shuffled()),
            "aligned": lambda: load_aligned_trunk(self.align()),
        }
        p = self.programme
        return run_ablation(p.ablation, p.screening, self.virtual, starts, self.folder / "ablation")


STAGES: Mapping[str, Callable[[Run], list[Path]]] = {
    "cohort": lambda run: [run.cohort_dir] if run.is_virtual else [],
    "segmentation": lambda run: [run.segmentation(view) for view in VIEWS if run.has_cmr],
    "hearts": lambda run: [run.hearts(view) for view in VIEWS if run.has_cmr],
    "cmr": lambda run: [run.cmr(view) for view in VIEWS if run.has_cmr],
    "ecg": lambda run: [run.ecg()],
    "align": lambda run: [run.align()] if run.has_cmr else [],
    "screening": lambda run: [run.screening()],
    "vae": lambda run: [run.vae()] if run.has_cmr else [],
    "diffusion": lambda run: [run.diffusion()] if run.has_cmr else [],
    "distillation": lambda run: [run.distillation()] if run.has_cmr and run.programme.distils else [],
    "ablation": lambda run: [run.ablation()] if run.is_virtual else [],
}
"""Stage → what makes it, in the order of the programme; nothing where the people have not what it needs."""


def stages_of(programme: Programme) -> list[str]:
    """The stages of a whole training: `distillation` only where its student is shipped."""
    return [name for name in STAGES if name != "distillation" or programme.default_sampler == "distilled"]
