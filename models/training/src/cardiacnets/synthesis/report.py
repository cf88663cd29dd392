"""Stage `synthesis-evaluate`: how faithful drawn cines are to people that nothing learned from; and the read-out.

Everything is of the virtual cohort's test split; the read-out and the classifier are fitted on true cines of its
training split.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from cardiacnets.domain import CONDITIONS, INDICES, View
from cardiacnets.evaluation.honesty import interval
from cardiacnets.metrics import auroc, pearson
from cardiacnets.models.denoiser import Denoiser
from cardiacnets.models.diffusion import SCHEDULE_PAPER, ScheduleConfig
from cardiacnets.models.vae import CineDecoder
from cardiacnets.stages.cmr_pretraining import load_encoder
from cardiacnets.stages.diffusion import load_denoiser
from cardiacnets.stages.distillation import METHODS
from cardiacnets.stages.loop import digest_of
from cardiacnets.stages.segmentation import load_segmenter, load_unet
from cardiacnets.stages.vae import load_vae
from cardiacnets.synthesis.bundle import DISTILLED, FULL, Networks, sampler_entries
from cardiacnets.synthesis.draw import Cines, Sampler, cine_embeddings, draw, measure_features, reconstruct
from cardiacnets.synthesis.figures import (
    Agreement,
    Candidate,
    Detection,
    Distance,
    Diversity,
    Figures,
    Likeness,
    Nearness,
    Seen,
    SynthesisReport,
    Trial,
)
from cardiacnets.synthesis.metrics import faithful_auroc, frechet, nearest, psnr, ssim, thumbnails
from cardiacnets.synthesis.precision import CALIBRATION_PEOPLE, compare_precision
from cardiacnets.synthesis.readout import READ_INDICES, Readout, fit_readout
from cardiacnets.synthesis.signs import SIGNS, signs_of

if TYPE_CHECKING:
    from cardiacnets.programme import Run


@dataclass(frozen=True)
class SynthesisReportConfig:
    """How many people are drawn, and how."""

    readout_people: int = 250
    """Of the training split, whose true cines the read-out is fitted on."""
    classifier_people: int = 1500
    people: int = 500
    """Of the test split."""
    precision_people: int = 100
    """Of them, on whom other precisions are compared."""
    seeds: int = 4
    diversity_people: int = 20
    components: int = 24
    """Of the cine's features that the Fréchet distances are of."""
    ecg_components: int = 8
    classifier_components: int = 64


def rounded(value: float) -> float:
    """Four digits."""
    return float(f"{value:.4g}")


def correlations(read: NDArray[np.floating], truth: NDArray[np.floating]) -> dict[str, float]:
    """Pearson R of each of `READ_INDICES`, [n,K] each."""
    return {
        name: rounded(float(np.corrcoef(read[:, column], truth[:, column])[0, 1]))
        for column, name in enumerate(READ_INDICES)
    }


def _pearson(read: NDArray[np.floating], truth: NDArray[np.floating], rows: NDArray[np.intp]) -> float:
    return float(pearson(read[rows], truth[rows]))


def _auroc(truth: NDArray[np.bool_], score: NDArray[np.floating], rows: NDArray[np.intp]) -> float:
    return auroc(truth[rows], score[rows])


def correlation_intervals(read: NDArray[np.floating], truth: NDArray[np.floating]) -> dict[str, list[float]]:
    """95% intervals of `correlations`, by a bootstrap over people."""
    return {
        name: interval(partial(_pearson, read[:, column], truth[:, column]), len(truth))
        for column, name in enumerate(READ_INDICES)
    }


class Evaluation:
    """What is measured on a finished run; everything slow is done once."""

    def __init__(self, run: "Run", config: SynthesisReportConfig) -> None:
        from cardiacnets.domain import VIEWS

        self.run, self.config = run, config
        self.segmenters = {view: load_segmenter(run.segmentation(view)) for view in VIEWS}
        people = run.people
        self.indices = np.asarray(people.indices[:, [INDICES.index(name) for name in READ_INDICES]], dtype=np.float64)
        self.conditions = np.asarray(people.conditions) == 1
        rows = {name: np.flatnonzero(run.short_cines.split == name) for name in ("train", "test")}
        self.train, self.test = rows["train"], rows["test"][: config.people]
        self.others = rows["test"][config.people : 2 * config.people]
        """Test people who are not drawn: real against real is the floor of a distance."""
        self.readout, self.ceiling = self._fit_readout()

    def true(self, rows: NDArray[np.intp]) -> Cines:
        """True cines."""
        return {view: np.asarray(frames[rows]) for view, frames in self.run.short_cines.frames.items()}

    def samplers(self) -> dict[str, Sampler]:
        """`full` and `quick`, and `distilled` where the run has a student or the bundle gets one."""
        run = self.run
        with_student = run.has_student or run.programme.default_sampler == "distilled"
        weights = {FULL: run.diffusion, DISTILLED: run.distillation}
        return {
            name: self.sampler(weights[entry.file](), entry.steps, entry.guidance)
            for name, entry in sampler_entries(run.programme, with_student=with_student).items()
        }

    def sampler(self, weights: Path, steps: int, guidance: float) -> Sampler:
        """A sampler with the denoiser of `weights`."""
        denoiser, schedule = load_denoiser(weights)
        return Sampler(CineDecoder(load_vae(self.run.vae())), denoiser, denoiser.config, schedule, steps, guidance)

    def _fit_readout(self) -> tuple[Readout, dict[str, float]]:
        """The read-out, and its R with the truth on true cines of test people."""
        some = self.train[: self.config.readout_people]
        features = {name: self._true_features(name, rows) for name, rows in (("train", some), ("test", self.test))}
        readout = fit_readout(features["train"], self.indices[some], READ_INDICES)
        return readout, correlations(readout(features["test"]), self.indices[self.test])

    def read_from_ecg(self) -> dict[str, float]:
        """R with the truth of what a ridge regression reads from the ECG's embedding, fitted on all training people."""
        embedding = self.run.conditions.embedding[:, 0].astype(np.float64)
        # On validation people R changes by .01 from a penalty of 3 to one of 300.
        model = make_pipeline(StandardScaler(), Ridge(30.0)).fit(embedding[self.train], self.indices[self.train])
        return correlations(model.predict(embedding[self.test]), self.indices[self.test])

    def seen_in_ecg(self) -> dict[str, Seen | None]:
        """AUROC of each condition and sign by a logistic regression on the ECG's embedding, and `faithful_auroc`."""
        embedding = self.run.conditions.embedding[:, 0].astype(np.float64)
        found: dict[str, Seen | None] = {}
        for name, truth in self.labels(self.train).items():
            test = self.labels(self.test)[name]
            if truth.all() or not truth.any() or test.all() or not test.any():
                found[name] = None
                continue
            # On validation people, C of .003 to .03 changes the AUROC by at most .012, that of faithful cines by .04.
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
            p = model.fit(embedding[self.train], truth).predict_proba(embedding[self.test])[:, 1]
            found[name] = {"auroc": rounded(auroc(test, p)), "faithful": rounded(faithful_auroc(p))}
        return found

    def _kept(self, name: str, make: Callable[[], NDArray[np.floating]]) -> NDArray[np.floating]:
        """What `make` returns, made once: true cines stay what they are."""
        path = self.run.folder / "synthesis" / f"{name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npy")
            np.save(part, make())
            part.replace(path)
        return np.load(path)

    def _true_features(self, split: str, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Features of true cines."""
        return self._kept(f"areas-{split}-{len(rows)}", lambda: measure_features(self.true(rows), self.segmenters))

    def embed(self, cines: Cines) -> NDArray[np.float32]:
        """Both views' CMR features side by side."""
        return np.concatenate([cine_embeddings(self.encoders[view], frames) for view, frames in cines.items()], axis=1)

    def embed_true(self, split: str, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Of true cines."""
        made_with = "-".join(digest_of(encoder, rows.tolist())[:6] for encoder in self.encoders.values())
        return self._kept(f"features-{split}-{made_with}", lambda: self.embed(self.true(rows)))

    def drawn(self, name: str, sampler: Sampler, seed: int = 0) -> Cines:
        """The test people's cines by a sampler; they are kept, so that a killed evaluation goes on."""
        assert isinstance(sampler.denoiser, nn.Module)
        made_with = digest_of(sampler.denoiser, sampler.steps, sampler.guidance, seed, self.test.tolist())
        path = self.run.folder / "synthesis" / f"drawn-{name}-{made_with}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npz")
            cines = draw(sampler, self.run.conditions, self.test, seed)
            np.savez(part, short_axis=cines["short_axis"], four_chamber=cines["four_chamber"])
            part.replace(path)
        with np.load(path) as kept:
            return {view: kept[view] for view in self.segmenters}

    def fit_feature_space(self) -> None:
        """Directions of true cines' features and of the ECG's embedding, and a classifier of conditions."""
        config, some = self.config, self.train[: self.config.classifier_people]
        self.encoders = {view: load_encoder(self.run.cmr(view)) for view in self.segmenters}
        features = self.embed_true("train", some)
        self.space = make_pipeline(StandardScaler(), PCA(config.components, whiten=True, random_state=0)).fit(features)
        ecg = self.run.conditions.embedding[:, 0].astype(np.float32)
        self.ecg = make_pipeline(StandardScaler(), PCA(config.ecg_components, whiten=True, random_state=0))
        self.ecg.fit(ecg[some])
        self.ecg_points = self.ecg.transform(ecg)
        self.classifiers = {}
        for name, truth in self.labels(some).items():
            if truth.all() or not truth.any():
                continue
            model = make_pipeline(
                StandardScaler(),
                PCA(config.classifier_components, random_state=0),
                LogisticRegression(C=0.1, max_iter=500),
            )
            self.classifiers[name] = model.fit(features, truth)
        self.truth = self.labels(self.test)
        self.true_embedding = self.embed_true("test", self.test)
        self.other_embedding = self.embed_true("others", self.others)

    def distances(self, embedding: NDArray[np.floating]) -> Distance:
        """Fréchet distance to other people's true cines: of the cines alone, and together with their ECGs."""

        def points(features: NDArray[np.floating], rows: NDArray[np.intp]) -> NDArray[np.float64]:
            return np.concatenate([self.space.transform(features), self.ecg_points[rows]], axis=1).astype(np.float64)

        alone, real = (self.space.transform(values).astype(np.float64) for values in (embedding, self.other_embedding))
        together = points(embedding, self.test), points(self.other_embedding, self.others)
        return {"cines": rounded(frechet(alone, real)), "withEcg": rounded(frechet(*together))}

    def labels(self, rows: NDArray[np.intp]) -> dict[str, NDArray[np.bool_]]:
        """Conditions, and of virtual people `SIGNS`."""
        found = {name: self.conditions[rows, column] for column, name in enumerate(CONDITIONS)}
        if self.run.is_virtual:
            healthy = ~self.conditions.any(axis=1)
            signs = signs_of(rows, np.asarray(self.run.people.indices), healthy, self.run.programme.seed)
            found |= {name: signs[:, column] for column, name in enumerate(SIGNS)}
        return found

    def detection(self, embedding: NDArray[np.floating]) -> dict[str, Detection | None]:
        """AUROC of each condition and sign, by the classifier of true cines."""
        found: dict[str, Detection | None] = {}
        for name, truth in self.truth.items():
            if name not in self.classifiers or truth.all() or not truth.any():
                found[name] = None
                continue
            score = self.classifiers[name].decision_function(embedding)
            ci = interval(partial(_auroc, truth, score), len(truth))
            found[name] = {"auroc": rounded(auroc(truth, score)), "ci": ci, "with": int(truth.sum())}
        return found

    def likeness(self, cines: Cines, true: Cines) -> dict[View, Likeness]:
        """SSIM and PSNR of each view."""
        return {
            view: {
                "ssim": rounded(float(ssim(frames, true[view]).mean())),
                "psnr": rounded(float(psnr(frames, true[view]).mean())),
            }
            for view, frames in cines.items()
        }

    def describe(self, cines: Cines) -> Figures:
        """All figures of the test people's cines as one sampler draws them."""
        embedding, true = self.embed(cines), self.true(self.test)
        read = self.readout(measure_features(cines, self.segmenters))
        return {
            "likeness": self.likeness(cines, true),
            "distance": self.distances(embedding),
            "function": correlations(read, self.indices[self.test]),
            "functionCi": correlation_intervals(read, self.indices[self.test]),
            "bias": {
                name: rounded(float((read - self.indices[self.test])[:, column].mean()))
                for column, name in enumerate(READ_INDICES)
            },
            "conditions": self.detection(embedding),
        }

    def diversity(self, sampler: Sampler) -> Diversity:
        """How much cines of one ECG differ from seed to seed, beside how much people differ."""
        rows = self.test[: self.config.diversity_people]
        sets = [draw(sampler, self.run.conditions, rows, seed) for seed in range(self.config.seeds)]
        read = np.stack([self.readout(measure_features(cines, self.segmenters)) for cines in sets])  # [seeds,n,K]
        view = next(iter(sets[0]))
        small = np.stack([thumbnails(cines[view]) for cines in sets])  # [seeds,n,·]
        true = thumbnails(self.true(rows)[view])
        return {
            "pixelsWithinEcg": rounded(float(small.std(axis=0, ddof=1).mean())),
            "pixelsBetweenPeople": rounded(float(small[0].std(axis=0, ddof=1).mean())),
            "pixelsBetweenTruePeople": rounded(float(true.std(axis=0, ddof=1).mean())),
            "function": {
                name: {
                    "withinEcg": rounded(float(np.sqrt(read[:, :, k].var(axis=0, ddof=1).mean()))),
                    "betweenPeople": rounded(float(read[:, :, k].mean(axis=0).std(ddof=1))),
                }
                for k, name in enumerate(READ_INDICES)
            },
        }

    def copies(self, cines: Cines) -> dict[View, Nearness]:
        """Distance to the nearest training person: drawn cines beside true ones of people who were never seen."""
        found: dict[View, Nearness] = {}
        for view, frames in cines.items():
            keys = thumbnails(np.asarray(self.run.short_cines.frames[view][self.train]))
            drawn, _ = nearest(thumbnails(frames), keys)
            true, _ = nearest(thumbnails(self.true(self.test)[view]), keys)
            limit = np.percentile(true, 1)
            found[view] = {
                "drawn": rounded(float(np.median(drawn))),
                "true": rounded(float(np.median(true))),
                "smallestDrawn": rounded(float(drawn.min())),
                "smallestTrue": rounded(float(true.min())),
                "nearerThanFirstPercentile": rounded(float((drawn < limit).mean())),
            }
        return found

    def precision(self, name: str, sampler: Sampler) -> dict[str, dict[str, Any]]:
        """What fewer bits would cost and give."""
        assert isinstance(sampler.denoiser, Denoiser)
        segmenters = {view: load_unet(self.run.segmentation(view)) for view in self.segmenters}
        networks = Networks(load_vae(self.run.vae()), sampler.denoiser, segmenters)
        some, test = self.train[:CALIBRATION_PEOPLE], self.test[: self.config.precision_people]
        plain = {view: frames[: len(test)] for view, frames in self.drawn(name, sampler).items()}

        def function(cines: Cines) -> dict[str, float]:
            return correlations(self.readout(measure_features(cines, self.segmenters)), self.indices[test])

        report: dict[str, dict[str, Any]] = {"float32": {"function": function(plain)}}
        for variant, figures, cines in compare_precision(networks, sampler, plain, self.run.conditions, test, some):
            report[variant] = {name: rounded(value) for name, value in figures.items()} | {"function": function(cines)}
        return report


def shuffled(cines: Cines) -> Cines:
    """Everybody with the next person's cine."""
    return {view: np.roll(frames, 1, axis=0) for view, frames in cines.items()}


def evaluate_synthesis(run: "Run", config: SynthesisReportConfig, report_path: Path) -> SynthesisReport:
    """Draw test people, measure, write the report and the sheet beside it."""
    from cardiacnets.synthesis.sheet import draw_sheet

    evaluation = Evaluation(run, config)
    evaluation.fit_feature_space()
    true = evaluation.true(evaluation.test)
    samplers, default = evaluation.samplers(), run.programme.default_sampler
    drawn = {name: evaluation.drawn(name, sampler) for name, sampler in samplers.items()}
    report: SynthesisReport = {
        "people": len(evaluation.test),
        "samplers": {
            name: {"steps": sampler.steps, "guidance": sampler.guidance} for name, sampler in samplers.items()
        },
        "default": default,
        "readout": {"people": config.readout_people, "onTrueCines": evaluation.ceiling},
        "readFromEcg": evaluation.read_from_ecg(),
        "seenInEcg": evaluation.seen_in_ecg(),
        "true": {
            "distance": evaluation.distances(evaluation.true_embedding),
            "conditions": evaluation.detection(evaluation.true_embedding),
        },
        "reconstructed": evaluation.describe(reconstruct(load_vae(run.vae()), run.latents.latents, evaluation.test)),
        "otherPerson": {
            "likeness": evaluation.likeness(shuffled(true), true),
            "distance": evaluation.distances(np.roll(evaluation.true_embedding, 1, axis=0)),
        },
        "drawn": {name: evaluation.describe(cines) for name, cines in drawn.items()},
        "diversity": evaluation.diversity(samplers[default]),
        "copies": evaluation.copies(drawn[default]),
        "precision": evaluation.precision(default, samplers[default]),
    }
    report_path.parent.mkdir(parents=True, exist_ok=True)
    report_path.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    draw_sheet(true, drawn, report_path.with_suffix(".png"))
    return report


def on_validation(run: "Run", config: SynthesisReportConfig) -> Evaluation:
    """The same measures on validation people, on whom choices may be made."""
    evaluation = Evaluation(run, config)
    rows = np.flatnonzero(run.short_cines.split == "val")
    evaluation.test, evaluation.others = rows[: config.people], rows[config.people : 2 * config.people]
    return evaluation


def agreement(evaluation: Evaluation, cines: Cines) -> Agreement:
    """R with the truth of what is read from drawn cines, and its spread among people as a share of the truth's."""
    truth = evaluation.indices[evaluation.test]
    read = evaluation.readout(measure_features(cines, evaluation.segmenters))
    spread = read.std(axis=0) / truth.std(axis=0)
    return {
        "function": correlations(read, truth),
        "spread": {name: rounded(float(share)) for name, share in zip(READ_INDICES, spread, strict=True)},
    }


def try_guidance(run: "Run", config: SynthesisReportConfig, trials: Iterable[tuple[int, float]]) -> Iterator[Trial]:
    """The denoiser that is not distilled at some steps and guidances, on validation people."""
    evaluation = on_validation(run, config)
    sampler = evaluation.sampler(run.diffusion(), 1, 1.0)
    for steps, guidance in trials:
        cines = draw(replace(sampler, steps=steps, guidance=guidance), run.conditions, evaluation.test, seed=0)
        yield {"steps": steps, "guidance": guidance, **agreement(evaluation, cines)}


SCHEDULES = {"v": ScheduleConfig(), "epsilon": SCHEDULE_PAPER}
"""What the denoiser predicts, each with the noise that goes with it."""


def compare_choices(
    run: "Run", config: SynthesisReportConfig
) -> Iterator[tuple[Literal["prediction", "distillation"], Candidate]]:
    """Figures of each candidate for prediction target and distillation method, on validation people.

    `prediction` is what a denoiser predicts, after a short training each. `distillation` is how it is distilled, beside
    the denoiser in many steps (`full`) and in few (`quick`). `toFull` is the PSNR (dB) to what `full` draws from the
    same noise.
    """
    evaluation = on_validation(run, config)
    evaluation.fit_feature_space()
    p = run.programme
    many, guidance = p.draw_steps, p.draw_guidance

    def figures(name: str, sampler: Sampler, cines: Cines) -> Candidate:
        calls = sampler.steps * (1 if sampler.guidance == 1 else 2)
        agreed = agreement(evaluation, cines)
        return {
            "name": name,
            "calls": calls,
            "people": len(evaluation.test),
            "distance": evaluation.distances(evaluation.embed(cines)),
            "function": agreed["function"],
            "spread": agreed["spread"],
        }

    for name, schedule in SCHEDULES.items():
        sampler = evaluation.sampler(run.diffusion_by(schedule), many, guidance)
        yield "prediction", figures(name, sampler, draw(sampler, run.conditions, evaluation.test, seed=0))
    samplers = {
        "full": evaluation.sampler(run.diffusion(), many, guidance),
        "quick": evaluation.sampler(run.diffusion(), p.quick_steps, guidance),
    }
    for method in METHODS:
        sampler = evaluation.sampler(run.distillation_by(method), p.distillation.steps, 1.0)
        samplers[method] = replace(sampler, renoise=method == "consistency")
    full: Cines = {}
    for name, sampler in samplers.items():
        cines = draw(sampler, run.conditions, evaluation.test, seed=0)
        full = full or cines
        near = {view: rounded(float(psnr(frames, full[view]).mean())) for view, frames in cines.items()}
        found = figures(name, sampler, cines)
        if name != "full":
            found["toFull"] = near
        yield "distillation", found
