import lzma

import numpy as np
import pytest

from cardiacnets.data import ptbxl, real

STATEMENTS = """,description,diagnostic_class,diagnostic_subclass
IMI,inferior infarction,MI,IMI
ISCAL,ischaemia anterolateral,STTC,ISCA
NORM,normal,NORM,NORM
NDT,non-diagnostic T,STTC,STTC
"""
LABELS = """ecg_id,strat_fold,age,"sex_ptbxl(0=male,1=female)",NORM,MI,STTC,CD,HYP,scp_codes
11,1,56,1,1,0,0,0,0,SR NORM
12,1,300,0,0,1,0,0,0,IMI SR
13,1,,0,0,0,1,0,0,ISCAL
14,1,40,1,0,0,1,0,0,NDT
"""


def encode(steps):
    """The pack's encoding, written the other way round: [n][8][1000] of 5 µV steps → bytes."""
    differences = np.diff(steps, axis=-1, prepend=0)
    zigzag = np.where(differences >= 0, 2 * differences, -2 * differences - 1).astype(np.uint16)
    return np.stack([zigzag & 0xFF, zigzag >> 8], axis=1).astype(np.uint8).tobytes()


@pytest.fixture
def pack(tmp_path):
    """A pack of four made-up recordings, and their steps."""
    steps = np.random.default_rng(2).integers(-900, 900, (4, 8, 1000)).cumsum(axis=-1) // 40
    folder = tmp_path / "ptbxl100"
    folder.mkdir()
    (folder / "fold01_8lead_5uV.bin.xz").write_bytes(lzma.compress(encode(steps)))
    (folder / "fold01_ids.txt").write_text("11\n12\n13\n14\n")
    (folder / "ptbxl_labels.csv").write_text(LABELS)
    (folder / "scp_statements.csv").write_text(STATEMENTS)
    return tmp_path, steps


def test_a_pack_decodes_to_microvolts_with_the_limb_leads_derived(pack):
    root, steps = pack

    ids, ecg = ptbxl.read_fold(1, root)

    i, ii = 5 * steps[:, 0], 5 * steps[:, 1]
    assert ids.tolist() == [11, 12, 13, 14]
    assert ecg.shape == (4, 12, 1000)
    np.testing.assert_array_equal(ecg[:, 0], i)
    np.testing.assert_array_equal(ecg[:, 2], ii - i)
    np.testing.assert_allclose(ecg[:, 3], -(i + ii) / 2, atol=0.5)
    np.testing.assert_array_equal(ecg[:, 6:], 5 * steps[:, 2:])


def test_ids_that_differ_from_the_recordings_are_refused(pack):
    root, _ = pack
    (root / "ptbxl100" / "fold01_ids.txt").write_text("11\n12\n")

    with pytest.raises(ValueError, match="2 ids but 4 recordings"):
        ptbxl.read_fold(1, root)


def test_cad_is_infarction_or_ischaemia_only(pack):
    root, _ = pack

    labels = ptbxl.read_labels(root)

    assert labels.cad.tolist() == [False, True, True, False]


def test_age_300_is_over_89_and_a_missing_age_is_unknown(pack):
    root, _ = pack

    labels = ptbxl.read_labels(root)

    np.testing.assert_array_equal(labels.age, [56, 90, np.nan, 40])
    np.testing.assert_array_equal(labels.sex, [1, 0, 0, 1])


@pytest.mark.skipif(not (ptbxl.data_dir() / "ptbxl100").exists(), reason="the real data are not on this machine")
def test_the_real_pack_has_its_documented_size_and_share_of_cad():
    labels = ptbxl.read_labels()

    assert len(labels.ecg_id) == 19_601
    assert np.unique(labels.fold).tolist() == list(range(1, 10))
    assert 0.30 < labels.cad.mean() < 0.34


def test_auxiliary_statements_are_the_superclasses_and_frequent_training_statements(pack, monkeypatch):
    root, _ = pack
    monkeypatch.setattr(real, "STATEMENT_MINIMUM", 2)

    found = real.statements(ptbxl.read_labels(root))

    np.testing.assert_array_equal(found[:, 5:], [[True], [True], [False], [False]])
