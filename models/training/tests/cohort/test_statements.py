"""Virtual people beside real ECGs with the same statement."""

import lzma
from pathlib import Path

import numpy as np
import pytest

from cardiacnets.cohort import draw_person, render_ecg, statements
from cardiacnets.cohort.statements import COMPARED, PAIRS, compare_statements, table

CAD = frozenset({"IMI"})
STATED = {
    "normal": {"NORM", "SR"},
    "RVH": {"RVH", "IRBBB", "SR"},
    "RBBB": {"CRBBB", "SR"},
    "LBBB": {"CLBBB"},
    "LVH": {"LVH", "SR"},
}
REPEATS = 4


@pytest.mark.parametrize("name", STATED)
def test_ecg_counts_for_its_own_statement_only(name: str):
    codes = frozenset(STATED[name])

    assert [pair for pair in PAIRS if PAIRS[pair].real(codes, CAD)] == [name]


@pytest.mark.parametrize("codes", [{"RVH", "CRBBB"}, {"NORM", "IMI"}, {"CRBBB", "RVH"}, {"CLBBB", "AFIB"}])
def test_other_statements_exclude_an_ecg(codes: set[str]):
    assert not any(pair.real(frozenset(codes), CAD) for pair in PAIRS.values())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A pack of ECGs in folds 1 to 7, with each statement; the signals are virtual people's."""
    folder = tmp_path / "ptbxl100"
    folder.mkdir()
    labels = ['ecg_id,strat_fold,age,"sex_ptbxl(0=male,1=female)",NORM,MI,STTC,CD,HYP,scp_codes']
    for fold in range(1, 8):
        ids, rows = [], []
        for number, codes in enumerate(list(STATED.values()) * REPEATS):
            ids.append(100 * fold + number)
            labels.append(f"{ids[-1]},{fold},60,1,0,0,0,0,0,{' '.join(sorted(codes))}")
            signal = statements._at_100_hz(render_ecg(draw_person(2, number), 2).recorded_uv[statements.INDEPENDENT])
            rows.append(np.rint(signal / 5).astype(np.int64))
        differences = np.diff(np.array(rows), axis=-1, prepend=0)
        zigzag = np.where(differences >= 0, 2 * differences, -2 * differences - 1).astype(np.uint16)
        packed = np.stack([zigzag & 0xFF, zigzag >> 8], axis=1).astype(np.uint8).tobytes()
        (folder / f"fold{fold:02d}_8lead_5uV.bin.xz").write_bytes(lzma.compress(packed, preset=0))
        (folder / f"fold{fold:02d}_ids.txt").write_text("\n".join(map(str, ids)) + "\n")
    (folder / "ptbxl_labels.csv").write_text("\n".join(labels) + "\n")
    (folder / "scp_statements.csv").write_text(
        ",description,diagnostic_class,diagnostic_subclass\nIMI,inferior infarction,MI,IMI\n"
    )
    return tmp_path


def test_both_sides_are_measured_and_counted(data_dir: Path):
    report = compare_statements(data_dir, 500, 5)

    assert report["RVH"]["real"] == 7 * REPEATS  # folds 1 to 7
    assert report["RBBB"]["real"] == 3 * REPEATS  # folds 1 to 3
    assert all(entry["virtual"] > 0 and len(entry["medians"]) == COMPARED for entry in report.values())
    assert f"| ECGs | {3 * REPEATS} / " in table(report)
