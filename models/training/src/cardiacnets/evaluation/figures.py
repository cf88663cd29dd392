"""Types of the evaluation report (DESIGN section 5), as JSON holds it. A figure that could not be measured is null."""

from typing import Literal, NotRequired, TypedDict

Interval = list[float]
"""95%: low, high."""


Pair = Literal["macroAuroc", "meanR"]
PAIR: tuple[tuple[Pair, str], ...] = (("macroAuroc", "macro AUROC"), ("meanR", "mean R"))
"""The two figures of conditions and indices, with their titles."""


class Area(TypedDict):
    """AUROC of one group."""

    auroc: float | None
    ci: Interval | None
    n: int
    positive: int


class Share(TypedDict):
    """A share of `n` ECGs, with its Wilson interval; null if `n` is 0."""

    share: float | None
    ci: Interval | None
    n: int


Shares = dict[str, Share]
"""Condition, or `any` → share flagged."""


class GroupFigures(TypedDict):
    """Virtual people of one group: macro AUROC of the four virtual conditions, mean R of the 82 indices."""

    macroAuroc: float | None
    meanR: float | None
    n: int


class WithoutPerson(GroupFigures):
    """The same people with sex, age, height and weight withheld."""

    conditions: dict[str, float | None]


class TestFigures(GroupFigures):
    """Virtual test people."""

    conditions: dict[str, Area]
    macroAurocCi: list[float | None]
    meanRCi: list[float | None]
    perIndexR: dict[str, float | None]
    coverage90: float | None
    coverage90Range: list[float | None]
    coverage90Outside: list[str]
    subgroups: dict[str, GroupFigures]
    leadSets: dict[str, GroupFigures]
    withoutPerson: WithoutPerson


class VirtualFigures(TypedDict):
    """Virtual people, as much as a manifest states."""

    conditions: dict[str, Area]
    perIndexR: dict[str, float | None]


class PairFigures(TypedDict):
    """Macro AUROC and mean R."""

    macroAuroc: float | None
    meanR: float | None


class OracleFigures(TypedDict):
    """The oracle, the network beside it, and the ratio of the two."""

    macroAuroc: float | None
    meanR: float
    macroAuroc5: float
    people: int
    version: int
    """Of the cohort."""
    ours: PairFigures
    closeness: PairFigures


class CalibrationFigures(TypedDict):
    """Slope and calibration in the large, in log-odds."""

    slope: float
    slopeCi: Interval
    inTheLarge: float
    inTheLargeCi: Interval


class Accuracy(TypedDict):
    """Sensitivity and specificity with intervals."""

    sensitivity: Share
    specificity: Share


class OperatingPoint(TypedDict):
    """Sensitivity and specificity at a threshold."""

    threshold: float | None
    sensitivity: float | None
    specificity: float | None
    falseAlarms: NotRequired[float]


class CadFigures(Area, CalibrationFigures):
    """CAD on one fold of PTB-XL."""

    byAge: dict[str, Accuracy]
    brier: float | None
    operatingPoints: dict[str, OperatingPoint]
    subgroups: dict[str, Area]
    leadSets: dict[str, Area]
    withoutPerson: Area


class Proxy(Area):
    """A virtual head against a reader's statement."""

    label: str


class Unanswered(TypedDict, total=False):
    """ECGs that the service refuses, and those whose findings it withholds; absent if the gate was not applied."""

    refused: Share
    withheld: Share


class Normals(Unanswered):
    """ECGs that readers called normal."""

    n: int
    flagged: Shares
    borderline: Shares
    byAge: dict[str, Shares]


class StatementShares(TypedDict):
    """ECGs with a statement: all of them, and those without any other of the statements."""

    all: Shares
    isolated: Shares


class Flags(TypedDict):
    """What is flagged in real people."""

    normals: Normals
    byStatement: dict[str, StatementShares]
    byHeartRate: dict[str, Shares]


class Agreement(TypedDict):
    """Pearson's R of two models' logits."""

    r: float
    ci: Interval
    n: int


class TeacherFigures(Agreement):
    """Agreement with a teacher, and the AUROC against "teacher above .5"."""

    above: Area


class SecondLook(TypedDict):
    """How often another window of the same recording is flagged differently."""

    changed: Shares
    ofNormals: Shares


class RealFigures(Flags):
    """Real people."""

    cad: CadFigures
    teacher: dict[str, TeacherFigures]
    secondLook: SecondLook


class NoiseFigures(TypedDict):
    """Both test sets under one noise; SNR null: none."""

    noise: str
    snrDb: float | None
    cadAuroc: float | None
    macroAuroc: float | None
    meanR: float | None
    n: int
    ood: float | None


class OutlierFigures(Area):
    """One kind of outlier against real ECGs."""

    flagged: float | None
    unseenAuroc: float | None


class FalseAlarms(TypedDict):
    """Share of real ECGs that are called none."""

    flagged: float | None
    n: int


class OodFigures(TypedDict):
    """Detection of input that is not an ECG."""

    threshold: float
    kinds: dict[str, OutlierFigures]
    falseAlarms: dict[str, FalseAlarms]


class RateFigures(TypedDict):
    """The same ECG at 500 and at 100 Hz: cosine of the embeddings, change of the CAD probability."""

    n: int
    cosineMedian: float | None
    cosineP5: float | None
    cosineOfStrangersMedian: float | None
    cadProbabilityChangeMedian: float | None
    cadProbabilityChangeP95: float | None
    cadProbabilityChangeMax: float | None


class BlockFigures(TypedDict):
    """A bundle branch block: where it is found in real ECGs, and what its limit leaves of a condition's sensitivity."""

    stated: Share
    """Found in ECGs in which a reader stated it,"""
    others: Share
    """and in all others."""
    condition: str
    sensitivity: Share
    """Of virtual people with the condition whose ECG shows the block."""


class Measured(TypedDict):
    """Every figure that `screen.onnx` alone gives."""

    test: TestFigures
    oracle: dict[str, OracleFigures]
    published: dict[str, float]
    real: RealFigures
    operating: dict[str, Accuracy]
    blocks: NotRequired[dict[str, BlockFigures]]
    proxies: dict[str, Proxy]
    ood: OodFigures
    noise: list[NoiseFigures]
    rates: dict[str, RateFigures]


class PeopleFigures(TypedDict):
    """What a bundle finds in the test people of a cohort."""

    people: int
    conditions: dict[str, Area]
    operating: dict[str, Accuracy]
    oracle: NotRequired[dict[str, OracleFigures]]


class RealValidation(TypedDict):
    """Real people, as much as a manifest states before `evaluate --final`."""

    cad: Area
    teacher: dict[str, TeacherFigures]


class Validation(TypedDict):
    """Figures of validation data."""

    real: RealValidation
    test: VirtualFigures


class Widened(TypedDict):
    """How much of published people an interval covered, and the factor that it was widened by."""

    coveredBefore: float
    factor: float


class Choices(TypedDict):
    """How calibration chose."""

    widened: dict[str, Widened]
    anyFlaggedOfFold8Normals: NotRequired[float | None]


class Int8Figures(TypedDict):
    """Costs and gains of the quantised variant."""

    aurocLost: dict[str, float]
    milliseconds: dict[str, float]
    megabytes: dict[str, float]
    kept: bool


class Exported(TypedDict):
    """What only `export` can measure."""

    parity: float
    modelSha256: str
    unseen: dict[str, float]
    choices: Choices
    int8: NotRequired[Int8Figures]


class ExportReport(Validation, Exported):
    """What `export` returns."""


class ValidationReport(Measured, Exported):
    """`reports/validation.json`."""

    bundle: str


class CohortReport(PeopleFigures):
    """What a bundle finds in another cohort, and the version of the code that drew it."""

    bundle: str
    cohortVersion: int


class Operating(TypedDict):
    """Sensitivity and specificity at what is in use, as a manifest states them."""

    sensitivity: float | None
    specificity: float | None
    dataset: str


class Found(TypedDict):
    """Rank of one's own cine among those of others; the interval is that of the median rank, over people."""

    among: float | None
    medianRank: float | None
    ci: NotRequired[list[float | None]]
    recall1: float | None
    recall10: float | None


class RetrievalFigures(Found):
    """Looked for by the ECG with the person's fields, and by each of `QUERIES`; older reports have the former alone."""

    by: NotRequired[dict[str, Found]]


class Pretraining(TypedDict, total=False):
    """Figures of the stages before `screening`; absent if no run had them."""

    retrieval: dict[str, RetrievalFigures]


class Drawn(TypedDict, total=False):
    """Figures of drawn cines (`synthesis.page.summary`); absent if none were measured."""

    cmr: object


class EvaluationReport(Measured, Exported, Pretraining, Drawn):
    """`reports/compact.json`."""

    bundle: str
    commit: str
    config: dict[str, object]
    seeds: list[int]
    cohortVersion: NotRequired[int]
    """Of the virtual people; 4 in reports without it."""
