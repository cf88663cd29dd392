"""How the profile's constants were chosen: distortion against residual noise on real ECGs.

`python -m cardiacnets.evaluation.profile_table [--records N]` prints the Markdown table of docs/signal-profile.md from
LUDB (500 Hz, annotated), which is evaluation data: no weight learns from it.
"""

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, firwin, resample_poly, sosfiltfilt
from tqdm import tqdm

from cardiacnets.data.wfdb import read_record
from cardiacnets.reference.stages import Float64
from cardiacnets.reference.vectorised import preprocess
from cardiacnets.signal.heart_rate import heart_rate
from cardiacnets.signal.profile import REPOSITORY, Profile, load_profile

DATA = Path(os.environ.get("CARDIACNETS_DATA", REPOSITORY.parent / "shared" / "data"))
RATE_HZ = 500
VIEW = firwin(121, 40.0, fs=RATE_HZ)
"""What the encoder's first layer leaves of a signal (models/frontend.py)."""


@dataclass(frozen=True)
class Beats:
    """Annotated samples of lead II: QRS onset, R peak, QRS end, T peak; the row of a beat has all four."""

    onset: NDArray[np.int_]
    peak: NDArray[np.int_]
    end: NDArray[np.int_]
    t_peak: NDArray[np.int_]


def read_beats(path: Path) -> Beats:
    """LUDB's annotation of one lead (MIT format: 6-bit code and 10-bit interval a word; brackets around each wave)."""
    marks: list[tuple[str, int]] = []
    sample = 0
    words = iter(np.frombuffer(path.read_bytes(), "<u2").tolist())
    for word in words:
        code, interval = word >> 10, word & 0x3FF
        if code == 59:  # SKIP: the next two words are the interval
            sample += (next(words) << 16) + next(words)
            continue
        if code >= 60 or (code == 0 and interval == 0):
            continue
        sample += interval
        marks.append(({1: "N", 24: "p", 27: "t", 39: "(", 40: ")"}.get(code, "?"), sample))
    rows = []
    for i in range(len(marks) - 5):
        names = "".join(name for name, _ in marks[i : i + 6])
        if names.startswith("(N)(t"):
            rows.append([marks[i + k][1] for k in (0, 1, 2, 4)])
    return Beats(*np.array(rows, dtype=int).reshape(-1, 4).T)


def variants(shipped: Profile) -> dict[str, Profile]:
    """The shipped profile and its neighbours, one constant at a time."""
    return {
        "**shipped**": shipped,
        "whole universal threshold": replace(shipped, threshold_scale=1.0),
        "noise from detail 1, whole threshold": replace(shipped, noise_level=1, threshold_scale=1.0),
        "noise from detail 2, half threshold": replace(shipped, noise_level=2),
        "no wavelet": replace(shipped, threshold_scale=0.0),
        "level 3": replace(shipped, wavelet_level=3),
        "level 5": replace(shipped, wavelet_level=5),
        "level 8": replace(shipped, wavelet_level=8),
        "Savitzky-Golay (7, 3)": replace(shipped, savgol_window=7),
        "Savitzky-Golay (15, 2)": replace(shipped, savgol_window=15, savgol_order=2),
        "Savitzky-Golay (25, 3)": replace(shipped, savgol_window=25),
    }


def measure(window: Float64, beats: Beats, profile: Profile) -> tuple[float, ...]:
    """Distortion of QRS, ST and T, noise left, difference that a 100 Hz source makes; medians over leads and beats."""
    bpm = heart_rate(window, RATE_HZ)
    stages = preprocess(window, bpm, profile)
    before, after = stages.detrended, stages.smoothed
    qrs, st, t_wave = [], [], []
    for onset, _, end, t_peak in zip(beats.onset, beats.peak, beats.end, beats.t_peak, strict=True):
        if onset < 20 or t_peak + 20 > window.shape[1]:
            continue
        qrs.append(np.ptp(after[:, onset:end], axis=1) / np.ptp(before[:, onset:end], axis=1) - 1)
        level = after - before
        isoelectric = level[:, onset - 20 : onset - 5].mean(axis=1)
        st.append(1000 * np.abs(level[:, end + 25 : end + 35].mean(axis=1) - isoelectric))
        t_wave.append(1000 * np.abs(level[:, t_peak - 5 : t_peak + 5].mean(axis=1) - isoelectric))
    high = butter(4, 40, "highpass", fs=RATE_HZ, output="sos")
    # Where nothing beats: the quieter half of the samples, which the QRS complexes are not among.
    noise_before, noise_after = (np.median(np.abs(sosfiltfilt(high, x, axis=1)), axis=1) for x in (before, after))
    low_rate = resample_poly(resample_poly(window, 1, 5, axis=1, padtype="line"), 5, 1, axis=1, padtype="line")
    views = [
        np.apply_along_axis(np.convolve, 1, x, VIEW, "same")
        for x in (after, preprocess(low_rate, bpm, profile).smoothed)
    ]
    difference = (views[0] - views[1]).std(axis=1) / views[0].std(axis=1)
    return (
        100 * float(np.median(qrs)),
        float(np.median(st)),
        float(np.median(t_wave)),
        100 * float(np.median(noise_after / noise_before)),
        100 * float(np.median(difference)),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200, help="how many LUDB records (default: all 200)")
    options = parser.parse_args()
    folder = DATA / "ludb" / "data"
    windows = []
    for number in tqdm(range(1, options.records + 1), desc="records", disable=None):
        beats = read_beats(folder / f"{number}.ii")
        if len(beats.onset) >= 4:
            windows.append((read_record(folder / f"{number}.hea").millivolt, beats))
    print(f"{len(windows)} LUDB records with at least four beats annotated whole\n")
    print(
        "| constants | QRS peak-to-peak | ST level, µV | T peak, µV | noise left above 40 Hz | 100 Hz against 500 Hz |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, profile in variants(load_profile()).items():
        rows = [measure(window, beats, profile) for window, beats in tqdm(windows, desc=name, disable=None)]
        qrs, st, t_wave, noise, difference = np.median(rows, axis=0)
        print(f"| {name} | {qrs:+.1f}% | {st:.1f} | {t_wave:.1f} | {noise:.0f}% | {difference:.1f}% |", flush=True)


if __name__ == "__main__":
    main()
