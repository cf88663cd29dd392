import numpy as np
import pytest

from cardiacnets.data.wfdb import read_record
from cardiacnets.domain import LEADS


def write_record(folder, names, fmt="16", skip=0, gain="1000(0)/mV"):
    """A WFDB record whose k-th signal rises from k."""
    samples = (np.arange(20)[:, None] + 100 * np.arange(len(names))).astype("<i2")
    (folder / "made.dat").write_bytes(bytes(skip) + samples.tobytes())
    lines = [f"made {len(names)} 500 20", *(f"made.dat {fmt} {gain} 16 0 0 0 0 {name}" for name in names)]
    (folder / "made.hea").write_text("\n".join([*lines, "#Age: 50"]) + "\n")
    return folder / "made.hea"


def test_leads_are_read_by_name_in_any_order(tmp_path):
    header = write_record(tmp_path, [name.upper() for name in reversed(LEADS)])

    record = read_record(header)

    assert record.rate_hz == 500
    np.testing.assert_allclose(record.millivolt[:, 0], np.arange(11, -1, -1) * 0.1)


def test_mat_offset_gain_and_baseline_are_applied(tmp_path):
    header = write_record(tmp_path, LEADS, fmt="16x1+24", skip=24, gain="200(50)/mv")

    record = read_record(header)

    np.testing.assert_allclose(record.millivolt[1], (np.arange(20) + 100 - 50) / 200)


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="format 212"):
        read_record(write_record(tmp_path, LEADS, fmt="212"))


def test_a_missing_lead_is_refused(tmp_path):
    with pytest.raises(ValueError, match="V6"):
        read_record(write_record(tmp_path, LEADS[:-1]))
