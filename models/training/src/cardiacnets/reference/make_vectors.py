"""Write the vectors that the TypeScript chain is tested against.

`python -m cardiacnets.reference.make_vectors [OUT_DIR]`

One `<case>.f64` a case: little-endian float64 arrays [leads][5000], one after another in the order of `arrays` in
`index.json` (`input` first, then the stages), then `amplitude` [leads][2]. The detrended signal
is `input` − `trend`, exactly.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiacnets.reference import obvious
from cardiacnets.reference.stages import Float64
from cardiacnets.reference.synthetic import synthetic_ecg
from cardiacnets.signal.profile import REPOSITORY, load_profile
from cardiacnets.signal.resample import resample

OUT_DIR = REPOSITORY / "test" / "shared" / "signal" / "vectors"
SEED = 20241120
ARRAYS = ("input", "trend", "denoised", "smoothed", "scaled")


@dataclass(frozen=True)
class Case:
    """One reference vector; `flat_lead` is held at a constant offset, as an electrode that is off often is."""

    name: str
    heart_rate_bpm: float
    leads: int = 1
    noise_mv: float = 0.008
    source_rate_hz: int = 500
    flat_lead: int | None = None


CASES = (
    Case("hr-40", 40),
    Case("hr-75", 75),
    Case("hr-120", 120),
    Case("odd-period", 68),  # 441.18 → 441
    Case("even-period", 90.4),  # 331.86 → 332
    Case("noisy-lead", 83, noise_mv=0.15),
    Case("flat-lead", 75, leads=2, flat_lead=1),
    Case("source-100hz", 75, source_rate_hz=100),
)


def make_input(case: Case, rng: np.random.Generator) -> Float64:
    """Float64 [leads][5000], mV at 500 Hz, brought up from the source's rate where that is another."""
    ecg = synthetic_ecg(
        rng,
        leads=case.leads,
        heart_rate_bpm=case.heart_rate_bpm,
        noise_mv=case.noise_mv,
        rate_hz=case.source_rate_hz,
    )
    if case.flat_lead is not None:
        ecg[case.flat_lead] = 0.3
    return resample(ecg, case.source_rate_hz, 500).astype(np.float64, copy=False)


def make_vectors(out_dir: Path) -> None:
    """Write every case and `index.json` to `out_dir`."""
    profile = load_profile()
    rng = np.random.default_rng(SEED)
    out_dir.mkdir(parents=True, exist_ok=True)
    index = []
    for case in CASES:
        window = make_input(case, rng)
        stages = obvious.preprocess(window, case.heart_rate_bpm, profile)
        blocks = [window, *(getattr(stages, name) for name in ARRAYS[1:]), stages.amplitude]
        (out_dir / f"{case.name}.f64").write_bytes(b"".join(block.astype("<f8").tobytes() for block in blocks))
        index.append(
            {
                "name": case.name,
                "file": f"{case.name}.f64",
                "leads": case.leads,
                "samples": profile.samples,
                "heartRateBpm": case.heart_rate_bpm,
                "period": profile.period(case.heart_rate_bpm),
                "sourceRateHz": case.source_rate_hz,
                "flatLeads": [] if case.flat_lead is None else [case.flat_lead],
            }
        )
    document = {
        "profile": profile.name,
        "madeBy": "python -m cardiacnets.reference.make_vectors",
        "seed": SEED,
        "encoding": "float64 little-endian, [leads][samples] an array; amplitude [leads][2] (min, max) last",
        "arrays": [*ARRAYS, "amplitude"],
        "cases": index,
    }
    (out_dir / "index.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    make_vectors(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT_DIR)
