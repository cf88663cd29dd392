"""Readers of real cohorts' files, on files made up in their formats."""

import zipfile

import numpy as np
import pytest

from cardiacnets.data.cardiosoft import read_cardiosoft
from cardiacnets.data.cine_dicom import read_view, to_field
from cardiacnets.data.diagnoses import conditions_of, prefixes
from cardiacnets.data.errors import RecordError
from cardiacnets.data.recordings import first_window, longest_run, read_ecg, trunk_input
from cardiacnets.data.wfdb import Record
from cardiacnets.data.windows import to_window
from cardiacnets.domain import CONDITIONS, LEADS
from tests.made_files import (
    dicom_frame,
    disc,
    four_chamber_frames,
    made_ecg,
    short_axis_frames,
    write_cardiosoft,
    write_wfdb,
    write_zip,
)


def code_of(call, *arguments, **options):
    with pytest.raises(RecordError) as caught:
        call(*arguments, **options)
    return caught.value.code


class TestCardioSoft:
    def test_rhythm_is_read_in_millivolts_by_lead_name_without_the_averaged_beat(self, tmp_path):
        ecg = made_ecg(1)
        path = write_cardiosoft(tmp_path / "1_20205_2_0.xml", ecg[::-1], leads=[lead.upper() for lead in LEADS[::-1]])

        record = read_cardiosoft(path)

        assert record.rate_hz == 500
        assert record.millivolt.shape == (12, 5000)
        np.testing.assert_allclose(record.millivolt, ecg, atol=0.0026)

    def test_each_fault_has_its_code(self, tmp_path):
        ecg = made_ecg(2)
        broken = tmp_path / "broken.xml"
        broken.write_text("<CardiologyXML><StripData>")
        empty = tmp_path / "empty.xml"
        empty.write_text("<CardiologyXML/>")
        uneven = write_cardiosoft(tmp_path / "uneven.xml", ecg)
        uneven.write_text(
            uneven.read_text(encoding="latin-1").replace("</WaveformData>\n<Wave", ",1</WaveformData><Wave")
        )

        assert code_of(read_cardiosoft, tmp_path / "none.xml") == "ecg-missing"
        assert code_of(read_cardiosoft, broken) == "ecg-unreadable"
        assert code_of(read_cardiosoft, empty) == "ecg-unreadable"
        assert code_of(read_cardiosoft, uneven) == "ecg-unreadable"
        assert code_of(read_cardiosoft, write_cardiosoft(tmp_path / "a.xml", ecg, units="mVperLsb")) == "ecg-unreadable"
        assert code_of(read_cardiosoft, write_cardiosoft(tmp_path / "b.xml", ecg[:8], leads=LEADS[:8])) == "ecg-leads"


class TestRecordings:
    def test_same_ecg_gives_the_same_input_from_both_formats(self, tmp_path):
        ecg = made_ecg(3)

        xml = trunk_input(write_cardiosoft(tmp_path / "a.xml", ecg))["millivolt"]
        wfdb = trunk_input(write_wfdb(tmp_path / "b.hea", ecg))["millivolt"]

        assert xml.shape == (12, 1000)
        assert xml.dtype == np.float16
        np.testing.assert_allclose(xml, wfdb, atol=0.02)

    def test_record_is_found_by_its_mimic_name(self, tmp_path):
        write_wfdb(tmp_path / "40689238.hea", made_ecg(4))

        assert read_ecg(tmp_path / "40689238").millivolt.shape == (12, 5000)

    def test_short_gaps_are_bridged_and_long_ones_refused(self):
        ecg = made_ecg(5)
        ecg[3, 100:200] = np.nan  # 200 ms
        bridged = first_window(Record("made", 500, ecg))
        ecg[3, 200] = np.nan

        assert not np.isnan(bridged).any()
        assert np.isfinite(to_window(bridged, 500).ecg).all()
        assert code_of(first_window, Record("made", 500, ecg)) == "ecg-gap"

    def test_a_lead_without_any_sample_is_a_gap(self, tmp_path):
        ecg = made_ecg(5)
        ecg[7] = np.nan

        assert code_of(trunk_input, write_wfdb(tmp_path / "a.hea", ecg)) == "ecg-gap"

    def test_nine_seconds_are_too_short_and_twelve_are_cut_to_ten(self):
        assert code_of(first_window, Record("made", 500, made_ecg(6, seconds=9))) == "ecg-too-short"
        assert first_window(Record("made", 500, made_ecg(6, seconds=12))).shape == (12, 5000)

    def test_missing_truncated_or_incomplete_wfdb_is_refused(self, tmp_path):
        cut = write_wfdb(tmp_path / "cut.hea", made_ecg(7))
        cut.with_suffix(".dat").write_bytes(b"123")

        assert code_of(read_ecg, tmp_path / "none") == "ecg-missing"
        assert code_of(read_ecg, cut) == "ecg-unreadable"
        assert code_of(read_ecg, write_wfdb(tmp_path / "few.hea", made_ecg(7)[:2], leads=LEADS[:2])) == "ecg-leads"

    @pytest.mark.parametrize(("flags", "longest"), [([], 0), ([0, 0], 0), ([1, 1, 0, 1], 2), ([0, 1, 1, 1], 3)])
    def test_longest_run(self, flags, longest):
        assert longest_run(np.array(flags, dtype=bool)) == longest


def radius_of(frame):
    """Pixels from the middle to where the disc ends."""
    return np.sqrt((frame > 128).sum() / np.pi)


class TestCineZips:
    @pytest.mark.parametrize("numbered", [True, False])
    def test_middle_slice_is_read_in_order_of_time(self, tmp_path, numbered):
        path = write_zip(tmp_path / "1_20209_2_0.zip", short_axis_frames(numbered=numbered))

        frames = read_view(path, "short_axis")["frames"]

        assert frames.shape == (50, 128, 128)
        assert frames.dtype == np.uint8
        assert radius_of(frames[0]) == pytest.approx(22, abs=0.5)  # 24 at the base, one less a slice
        assert radius_of(frames[37]) < radius_of(frames[12]) < radius_of(frames[0])

    def test_the_four_chamber_view_is_distinguished_from_the_others(self, tmp_path):
        path = write_zip(tmp_path / "1_20208_2_0.zip", four_chamber_frames(radius=26))

        frames = read_view(path, "four_chamber")["frames"]

        assert radius_of(frames[0]) == pytest.approx(26, abs=0.5)

    def test_later_of_two_acquisitions_is_used_and_a_truncated_one_is_not(self, tmp_path):
        again = [
            dicom_frame(disc(64, 29), "CINE_segmented_SAX_b3", (30, "1.9.1"), 20 * phase, place_mm=20)
            for phase in range(4)
        ]
        stump = [dicom_frame(disc(64, 2), "CINE_segmented_SAX_b3", (31, "1.9.2"), 0, place_mm=20)]
        path = write_zip(tmp_path / "a.zip", [*short_axis_frames(), *again, *stump])

        assert radius_of(read_view(path, "short_axis")["frames"][0]) == pytest.approx(29, abs=0.5)

    def test_pixels_are_resampled_to_the_cohorts_size(self):
        fine = np.repeat(disc(200, 40)[None], 3, axis=0)

        frames = to_field(fine, (0.9, 0.9))

        assert radius_of(frames[0]) == pytest.approx(20, abs=0.5)

    def test_each_fault_has_its_code(self, tmp_path):
        whole = write_zip(tmp_path / "whole.zip", short_axis_frames())
        cut = tmp_path / "cut.zip"
        cut.write_bytes(whole.read_bytes()[:5000])
        damaged = tmp_path / "damaged.zip"
        with zipfile.ZipFile(damaged, "w") as archive:
            archive.writestr("a.dcm", b"this is no DICOM")

        assert code_of(read_view, tmp_path / "none.zip", "short_axis") == "cmr-unreadable"
        assert code_of(read_view, cut, "short_axis") == "cmr-unreadable"
        assert code_of(read_view, damaged, "short_axis") == "cmr-unreadable"
        assert code_of(read_view, whole, "four_chamber") == "cmr-view"
        few = write_zip(tmp_path / "few.zip", short_axis_frames(slices=2))
        assert code_of(read_view, few, "short_axis") == "cmr-slices"


class TestDiagnoses:
    @pytest.mark.parametrize(
        ("code", "version", "condition"),
        [
            ("I25.10", 10, "cad"),
            ("I219", 10, "cad"),
            ("i420", 10, "cm"),
            ("I301", 10, "pericarditis"),
            ("I5022", 10, "hf"),
            ("I11.0", 10, "hf"),
            ("I2720", 10, "ph"),
            ("I119", 10, None),
            ("I26", 10, None),
            ("E119", 10, None),
            ("41401", 9, "cad"),
            ("4254", 9, "cm"),
            ("4280", 9, "hf"),
            ("40290", 9, None),
            ("4168", 9, "ph"),
        ],
    )
    def test_code_gives_its_condition_only(self, code, version, condition):
        assert conditions_of([code], version).tolist() == [name == condition for name in CONDITIONS]

    def test_code_of_one_icd_version_means_nothing_in_the_other(self):
        assert not conditions_of(["4280"], 10).any()

    @pytest.mark.parametrize("version", [9, 10])
    def test_no_code_means_two_conditions(self, version):
        codes = [code for own in prefixes(version) for code in own]

        assert len(codes) > 8
        assert all(not other.startswith(code) for code in codes for other in codes if other != code)
