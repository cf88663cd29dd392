"""The virtual ECG that the demo device streams: `python -m cardiacnets.cli.demo_record` writes functions/cli/demo/."""

import numpy as np

from cardiacnets.cohort.ecg import render_ecg
from cardiacnets.cohort.person import draw_person
from cardiacnets.domain import LEADS
from cardiacnets.signal.profile import REPOSITORY

SEED, INDEX = 20241120, 7
OUT_DIR = REPOSITORY / "functions" / "cli" / "demo"


def main() -> None:
    """Write one virtual person's ECG as WFDB format 16, 1 µV a step, 500 Hz."""
    samples = render_ecg(draw_person(SEED, INDEX), SEED).recorded_uv.astype("<i2")
    OUT_DIR.mkdir(parents=True, exist_ok=True)
    (OUT_DIR / "virtual-ecg.dat").write_bytes(samples.T.tobytes())
    lines = [f"virtual-ecg {len(LEADS)} 500 {samples.shape[1]}"]
    for lead, row in zip(LEADS, samples, strict=True):
        checksum = int(row.astype(np.int64).sum()) & 0xFFFF
        lines.append(f"virtual-ecg.dat 16 1000(0)/mV 16 0 {row[0]} {checksum - 0x10000 * (checksum > 0x7FFF)} 0 {lead}")
    lines.append(
        f"# VIRTUAL: person {INDEX} of the cohort with seed {SEED}; made by python -m cardiacnets.cli.demo_record"
    )
    (OUT_DIR / "virtual-ecg.hea").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
