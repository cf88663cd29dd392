"""Run an exported bundle on data that it did not learn from, through the same chain as the service."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tqdm import tqdm

from cardiacnets import cohort
from cardiacnets.bundle.write import BLOCK_OUTPUT, SCREEN_OUTPUTS, inference_session
from cardiacnets.data import ptbxl, teacher, wfdb
from cardiacnets.data.windows import Window, chain_key, to_window
from cardiacnets.domain import CONDITIONS, LEADS
from cardiacnets.signal.disturb import Disturbance, disturb
from cardiacnets.signal.outliers import RATE_HZ as OUTLIER_RATE_HZ
from cardiacnets.signal.outliers import make_outliers
from cardiacnets.signal.profile import load_profile

Array = NDArray[np.floating]

CAD = CONDITIONS.index("cad")
TEST_FOLD, VALIDATION_FOLD = 9, 8
BATCH = 64


@dataclass(frozen=True)
class EcgSet:
    """n recordings with the truth that is known of them; the signals are read when they are needed."""

    name: str
    recording: Callable[[int], Array]
    """Row → mV [12][10 s], no missing sample."""
    rate_hz: float
    person: Array
    """[n,4], NaN unknown."""
    conditions: NDArray[np.bool_]
    """[n,5]; of a real set only the CAD column means something."""
    indices: Array | None = None
    codes: tuple[frozenset[str], ...] = ()
    """SCP statements of each, where the set has them."""
    teacher: Array | None = None
    """[n] logits of heart failure by a published ensemble, NaN where it said nothing."""

    @property
    def normal(self) -> NDArray[np.bool_]:
        """[n] ECGs that a reader called normal, and nobody CAD."""
        return np.array(["NORM" in stated for stated in self.codes], dtype=bool) & ~self.conditions[:, CAD]

    @property
    def true_indices(self) -> Array:
        """[n,82], where the set has them.

        Raises:
            ValueError: it has none.
        """
        if self.indices is None:
            raise ValueError(f"{self.name} has no indices")
        return self.indices

    def __len__(self) -> int:
        return len(self.person)

    def rows(self, rows: Sequence[int] | NDArray[np.integer], name: str) -> "EcgSet":
        """Some of the recordings, as a set with a name of its own."""
        return EcgSet(
            name,
            lambda row: self.recording(rows[row]),
            self.rate_hz,
            self.person[rows],
            self.conditions[rows],
            None if self.indices is None else self.indices[rows],
            tuple(self.codes[row] for row in rows) if self.codes else (),
            None if self.teacher is None else self.teacher[rows],
        )

    def thinned(self, most: int) -> "EcgSet":
        """At most so many recordings, evenly spaced: a sample that is always the same."""
        if len(self) <= most:
            return self
        return self.rows(np.linspace(0, len(self) - 1, most).round().astype(int), f"{self.name}-{most}")


@dataclass(frozen=True)
class InputVariant:
    """How a set is shown to the model."""

    name: str = "whole"
    leads: tuple[str, ...] = LEADS
    with_person: bool = True
    disturbance: Disturbance | None = None


@dataclass(frozen=True)
class Predictions:
    """Outputs of `screen.onnx`, a row a recording."""

    logits: Array
    mean: Array
    logvar: Array
    embedding: Array
    ood: Array
    blocks: Array
    """[n,2] logits of bundle branch blocks; [n,0] of a bundle that knows none."""


WHOLE = InputVariant()
NO_PERSON = InputVariant("person withheld", with_person=False)
LEAD_SETS: dict[str, tuple[str, ...]] = {
    "12 leads": LEADS,
    "8 (limb, V2, V5)": (*LEADS[:6], "V2", "V5"),
    "6 (limb)": LEADS[:6],
    "2 (I, II)": ("I", "II"),
    "1 (II)": ("II",),
    "1 (I)": ("I",),
}


def real_set(fold: int) -> EcgSet:
    """One PTB-XL fold."""
    labels = ptbxl.read_labels()
    ids, microvolt = ptbxl.read_fold(fold)
    row_of = {ecg_id: row for row, ecg_id in enumerate(labels.ecg_id)}
    rows = [row_of[ecg_id] for ecg_id in ids]
    conditions = np.zeros((len(rows), len(CONDITIONS)), dtype=bool)
    conditions[:, CAD] = labels.cad[rows]
    unknown = np.full(len(rows), np.nan, dtype=np.float32)
    return EcgSet(
        f"ptbxl-fold{fold}",
        lambda row: microvolt[row] / 1000,
        ptbxl.RATE_HZ,
        np.stack([labels.sex[rows], labels.age[rows], unknown, unknown], axis=1),
        conditions,
        codes=tuple(labels.scp_codes[row] for row in rows),
        teacher=teacher.logits_of(ids),
    )


def virtual_set(cohort_dir: Path, split: str, *, any_version: bool = False) -> EcgSet:
    """One split of the virtual cohort; `any_version`: see `cohort.load`."""
    people = cohort.load(cohort_dir, any_version=any_version)
    rows = people.rows(split)
    indices = np.asarray(people.indices[rows])
    digest = hashlib.sha256(indices.tobytes()).hexdigest()[:8]
    return EcgSet(
        f"virtual-{split}-{digest}",
        lambda row: people.ecg[rows[row]] / 1000,
        load_profile().rate_hz,
        people.person[rows],
        np.asarray(people.conditions[rows]),
        indices,
    )


def half_twice(ecgs: EcgSet, which: int) -> EcgSet:
    """Each recording's first (0) or second (1) half, twice: two looks at the same person minutes or seconds apart."""

    def recording(row: int) -> Array:
        whole = np.asarray(ecgs.recording(row))
        half = whole.shape[1] // 2
        return np.tile(whole[:, which * half : (which + 1) * half], (1, 2))

    return replace(ecgs, name=f"{ecgs.name}-half{which}", recording=recording)


def records_set(name: str, headers: Iterable[Path]) -> EcgSet:
    """WFDB records of 10 s at 500 Hz without gaps, of people of whom nothing is known."""
    rate_hz, samples = load_profile().rate_hz, load_profile().samples
    signals = []
    for header in headers:
        record = wfdb.read_record(header)
        if record.rate_hz == rate_hz and record.millivolt.shape[1] >= samples and not np.isnan(record.millivolt).any():
            signals.append(record.millivolt[:, :samples])
    return _nobody(name, signals, rate_hz)


def outlier_set(kind: str, ecgs: EcgSet, seed: int) -> EcgSet:
    """One outlier for each recording of a 100 Hz set."""
    made = make_outliers(kind, np.stack([ecgs.recording(row) for row in range(len(ecgs))]), seed)
    digest = hashlib.sha256(made.tobytes()).hexdigest()[:8]
    return _nobody(f"{kind}-{ecgs.name}-{digest}", list(made), OUTLIER_RATE_HZ)


def _nobody(name: str, signals: Sequence[Array], rate_hz: float) -> EcgSet:
    person = np.full((len(signals), 4), np.nan, dtype=np.float32)
    return EcgSet(name, signals.__getitem__, rate_hz, person, np.zeros((len(signals), len(CONDITIONS)), dtype=bool))


def model_inputs(windows: Iterable[Window], person: Array, leads: tuple[str, ...] = LEADS) -> dict[str, Array]:
    """Feed of `screen.onnx`: leads that are not in `leads` and person fields that are NaN are masked and zeroed.

    So is a lead that never moves, as the service's quality gate leaves it out.
    """
    present = np.array([lead in leads for lead in LEADS], dtype=np.float32)
    ecg = np.stack([window.ecg for window in windows]) * present[:, None]
    amplitude = np.stack([window.amplitude for window in windows]) * present[:, None]
    moves = np.ptp(amplitude, axis=-1) > 0
    return {
        "ecg": ecg,
        "amplitude": amplitude,
        "lead_mask": present * moves.astype(np.float32),
        "person": np.nan_to_num(person).astype(np.float32),
        "person_mask": (~np.isnan(person)).astype(np.float32),
    }


def run_session(session: onnxruntime.InferenceSession, feed: dict[str, Array]) -> Predictions:
    """One batch."""
    knows = BLOCK_OUTPUT in [output.name for output in session.get_outputs()]
    outputs = session.run([*SCREEN_OUTPUTS, *([BLOCK_OUTPUT] if knows else [])], feed)
    return Predictions(*outputs, *([] if knows else [np.zeros((len(outputs[0]), 0))]))


class CachedScreener:
    """A `screen.onnx` with a cache of its answers in `memory`, one file for each set and variant.

    The answers of one model are kept under the hash of its file, so that another model never meets them.
    """

    def __init__(self, screen: Path, memory: Path) -> None:
        self.screen = screen
        self.sha256 = hashlib.sha256(screen.read_bytes()).hexdigest()
        self._session = inference_session(screen)
        self._memory = memory / f"{self.sha256[:16]}-{chain_key()}"

    def __call__(self, data: EcgSet, *variants: InputVariant) -> list[Predictions]:
        """Answers in the order of `variants` (default: `WHOLE`). Variants that share a window prepare it once."""
        variants = variants or (WHOLE,)
        paths = {
            variant: self._memory / f"{data.name}--{variant.name}.npz".replace(" ", "_").replace(",", "")
            for variant in variants
        }
        missing = [variant for variant in variants if not paths[variant].exists()]
        if missing:
            self._memory.mkdir(parents=True, exist_ok=True)
            for variant, answers in self._run(data, missing).items():
                part = paths[variant].with_suffix(".part.npz")
                np.savez(part, **{name: values.astype(np.float32) for name, values in vars(answers).items()})
                part.replace(paths[variant])
        return [
            Predictions(**{name: values.astype(np.float64) for name, values in np.load(paths[variant]).items()})
            for variant in variants
        ]

    def _run(self, data: EcgSet, variants: Sequence[InputVariant]) -> dict[InputVariant, Predictions]:
        parts: dict[InputVariant, list[Predictions]] = {variant: [] for variant in variants}
        for start in tqdm(range(0, len(data), BATCH), desc=data.name, disable=None):
            rows = range(start, min(start + BATCH, len(data)))
            windows: dict[Disturbance | None, list[Window]] = {}
            for variant in variants:
                if variant.disturbance not in windows:
                    windows[variant.disturbance] = [_window(data, row, variant.disturbance) for row in rows]
                person = data.person[rows.start : rows.stop]
                if not variant.with_person:
                    person = np.full_like(person, np.nan)
                feed = model_inputs(windows[variant.disturbance], person, variant.leads)
                parts[variant].append(run_session(self._session, feed))
        return {
            variant: Predictions(**{name: np.concatenate([vars(b)[name] for b in some]) for name in vars(some[0])})
            for variant, some in parts.items()
        }


def _window(data: EcgSet, row: int, disturbance: Disturbance | None) -> Window:
    recording = np.asarray(data.recording(row), dtype=np.float64)
    if disturbance is None:
        return to_window(recording, data.rate_hz)
    return to_window(*disturb(recording, data.rate_hz, disturbance, row))


def with_leads(leads: tuple[str, ...], name: str, variant: InputVariant = WHOLE) -> InputVariant:
    """`variant` with only these leads; the whole of them is `variant` itself."""
    return variant if leads == LEADS else replace(variant, name=f"{variant.name}, {name}", leads=leads)
