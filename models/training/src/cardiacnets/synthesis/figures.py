"""`reports/synthesis.json` and `reports/choices.json`: what is measured on drawn cines.

Typed dictionaries and not dataclasses, because the page reads them from the file as well as from the evaluation.
"""

from typing import Any, NotRequired, TypedDict

from cardiacnets.domain import View

Function = dict[str, float]
"""A figure of each of `readout.READ_INDICES`."""


class Likeness(TypedDict):
    """Mean structural similarity, and PSNR in dB, to the true cine of the same person."""

    ssim: float
    psnr: float


class Distance(TypedDict):
    """Fréchet distance to other people's true cines: of cines alone, and together with their ECG's embedding."""

    cines: float
    withEcg: float


Detection = TypedDict("Detection", {"auroc": float, "ci": list[float], "with": int})
"""AUROC by a classifier of true cines, its 95% interval over people, and how many people have the condition or sign."""


class Seen(TypedDict):
    """AUROC of a condition or sign that the ECG's embedding tells, and of cines that show it as often as that says."""

    auroc: float
    faithful: float


class Figures(TypedDict):
    """Of one source of cines: true, through the VAE, another person's, or drawn by one sampler."""

    distance: Distance
    likeness: NotRequired[dict[View, Likeness]]
    function: NotRequired[Function]
    """R with the truth."""
    functionCi: NotRequired[dict[str, list[float]]]
    """Their 95% intervals over people."""
    bias: NotRequired[Function]
    """Mean error, in the unit of each index."""
    conditions: NotRequired[dict[str, Detection | None]]
    """Of conditions and, for virtual people, of signs; null where a class is missing."""


class SamplerSizes(TypedDict):
    """DDIM steps and factor of guidance."""

    steps: int
    guidance: float


class ReadoutFigures(TypedDict):
    """People that the read-out is fitted on, and its R with the truth on true cines of test people."""

    people: int
    onTrueCines: Function


class Spread(TypedDict):
    """Standard deviation of an index from seed to seed, and from person to person."""

    withinEcg: float
    betweenPeople: float


class Diversity(TypedDict):
    """How much cines of one ECG differ, beside how much people differ; pixels in grey levels."""

    pixelsWithinEcg: float
    pixelsBetweenPeople: float
    pixelsBetweenTruePeople: float
    function: dict[str, Spread]


class Nearness(TypedDict):
    """Distance to the nearest training person, in grey levels: of drawn cines, and of true ones of test people."""

    drawn: float
    true: float
    smallestDrawn: float
    smallestTrue: float
    nearerThanFirstPercentile: float
    """Share of drawn cines that are nearer than the first percentile of true ones."""


class SynthesisReport(TypedDict):
    """`reports/synthesis.json`."""

    people: int
    samplers: dict[str, SamplerSizes]
    default: str
    """The sampler that the bundle draws with if none is named; `diversity`, `copies` and `precision` are its own."""
    readout: ReadoutFigures
    readFromEcg: Function
    seenInEcg: dict[str, Seen | None]
    true: Figures
    reconstructed: Figures
    otherPerson: Figures
    drawn: dict[str, Figures]
    diversity: Diversity
    copies: dict[View, Nearness]
    precision: dict[str, dict[str, Any]]
    """Of each variant: `VIEW.psnr`, `NETWORK.timesQuicker` and `NETWORK.bytesSaved`, numbers, and `function`.
    `float32` has `function` alone: the same people without a change."""


class Agreement(TypedDict):
    """R with the truth of what is read from drawn cines, and its spread as a share of the truth's."""

    function: Function
    spread: Function


class Trial(Agreement):
    """One guidance on validation people."""

    steps: int
    guidance: float


class Candidate(Agreement):
    """One prediction target or distillation method on validation people."""

    name: str
    calls: int
    """Of the denoiser, per cine."""
    people: int
    distance: Distance
    toFull: NotRequired[dict[View, float]]
    """PSNR, dB, to what the denoiser draws in many steps from the same noise."""


class ChoicesReport(TypedDict):
    """`reports/choices.json`."""

    trainingSteps: dict[str, int]
    prediction: list[Candidate]
    distillation: list[Candidate]
