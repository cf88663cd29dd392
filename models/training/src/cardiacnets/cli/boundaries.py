"""Virtual ECGs with their exact boundaries, for `npm run -s delineation-table -- --virtual FOLDER`.

    uv run python -m cardiacnets.cli.boundaries FOLDER

Writes `ecgs.i16` (int16, uV, [people, 12, 5000]) and `intervals.json` (ms, a person each).
"""

import argparse
import json
from itertools import count, islice
from pathlib import Path

import numpy as np

from ..cohort.boundaries import Boundaries, beat_boundaries
from ..cohort.ecg import render_ecg
from ..cohort.person import Person, draw_person

SEED = 11
PEOPLE = 160
QRS, T = 1, 2


def intervals_ms(beats: list[Boundaries]) -> dict[str, float] | None:
    """Return the medians over the beats: second earliest onset to second latest end of QRS, or the middle end of T.

    `qrsVisible` is QRS by the standard: from the first to the last moment at which any lead shows it.
    """
    found = []
    for beat in beats:
        onsets, ends, last = (
            np.sort(edge[~np.isnan(edge)]) for edge in (beat.onset_s[:, QRS], beat.end_s[:, QRS], beat.end_s[:, T])
        )
        if len(onsets) > 3 and len(last) > 2:
            first_visible, last_visible = beat.visible_s
            found.append((ends[-2] - onsets[1], last[len(last) // 2] - onsets[1], last_visible - first_visible))
    if len(found) < 3:
        return None
    qrs, qt, visible = 1000 * np.median(np.array(found), axis=0)
    return {"qrs": float(qrs), "qt": float(qt), "qrsVisible": float(visible)}


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    people = (draw_person(SEED, index) for index in count())
    in_sinus = (person for person in people if not person.atrial_fibrillation and not person.paced)
    pairs = ((person, intervals_ms(beat_boundaries(person, SEED))) for person in in_sinus)
    chosen: list[tuple[Person, dict[str, float]]] = list(
        islice(((person, truth) for person, truth in pairs if truth is not None), PEOPLE)
    )
    ecgs = np.stack([render_ecg(person, SEED).recorded_uv for person, _ in chosen])
    ecgs.astype("<i2").tofile(folder / "ecgs.i16")
    (folder / "intervals.json").write_text(json.dumps([truth for _, truth in chosen]))


if __name__ == "__main__":
    main()
