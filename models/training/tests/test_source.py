"""Whole cohorts, made up in the layout of real ones, become the arrays that the stages take."""

import csv
import gzip
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets import cohort
from cardiacnets.cli import main
from cardiacnets.data import row_cache
from cardiacnets.data.errors import RecordError, SourceError
from cardiacnets.data.manifest import Entry, index_of_column, read_manifest, split_of, splits_of
from cardiacnets.data.mimic import index_mimic
from cardiacnets.data.source import load_source
from cardiacnets.data.ukb import index_ukb
from cardiacnets.domain import CONDITIONS, INDICES, VIEWS
from cardiacnets.models.augment import AugmentConfig
from cardiacnets.models.swin import Swin, SwinConfig
from cardiacnets.programme import STAGES, Run
from cardiacnets.stages.cmr_pretraining import compact, pretrain_cmr
from cardiacnets.stages.contrastive import ContrastiveConfig, align
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.screening import TrainingData, load_trained, train_screening
from tests.conftest import TINY, tiny_config, tiny_programme
from tests.made_files import four_chamber_frames, made_ecg, short_axis_frames, write_cardiosoft, write_wfdb, write_zip

SMALL_PAPER = """
[cmr]
contrast = "seen"
batch = 4
[cmr.views.short_axis.mim]
decoder_dim = 16
[cmr.views.short_axis.mim.swin]
image = 48
window = 3
dim = 8
heads = [1, 2, 4]
pooled = "last"
[cmr.views.four_chamber.mim]
decoder_dim = 16
[cmr.views.four_chamber.mim.swin]
image = 48
window = 3
dim = 8
heads = [1, 2, 4]
pooled = "last"
[ecg]
batch = 4
[ecg.mim]
kind = "EcgMaeConfig"
decoder_dim = 16
decoder_heads = 2
[ecg.mim.encoder]
patch = 500
dim = 16
depth = 1
heads = 2
embedding = 32
[ecg.optimisation]
accumulate = 2
[align]
batch = 4
cine_copies = 1
[align.encoder]
kind = "EcgVitConfig"
patch = 500
dim = 16
depth = 1
heads = 2
embedding = 32
[screening]
real_batch = 4
balanced = true
[screening.encoder]
kind = "EcgVitConfig"
patch = 500
dim = 16
depth = 1
heads = 2
embedding = 32
[vae]
frames = 10
side = 64
[vae.vae]
widths = [4, 4, 8]
groups = 4
[diffusion]
batch = 2
condition_copies = 0
[diffusion.schedule]
zero_terminal_snr = false
prediction = "epsilon"
[diffusion.denoiser]
frames = 10
fold = 1
widths = [8, 8]
head_width = 8
groups = 4
token_width = 16
embedding = 32
context = 8
"""
EIDS = [str(1000010 + 7 * k) for k in range(12)]
BROKEN, NO_CMR, BAD_CMR, WITHDRAWN, TWICE = EIDS[1], EIDS[3], EIDS[5], EIDS[7], EIDS[9]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path / "cache"))


def write_table(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def ukb(tmp_path):
    """Twelve people: an ECG cannot be read, one has no CMR, one a damaged zip, one has withdrawn, one has two ECGs."""
    folder = tmp_path / "ukb"
    for k, eid in enumerate(EIDS):
        path = write_cardiosoft(folder / "20205" / f"{eid}_20205_2_0.xml", made_ecg(k))
        if eid == BROKEN:
            path.write_text("<CardiologyXML>")
        if eid != NO_CMR:
            short = write_zip(
                folder / "20209" / f"{eid}_20209_2_0.zip", short_axis_frames(radius=22 + 3 * (k % 3), phases=3)
            )
            write_zip(folder / "20208" / f"{eid}_20208_2_0.zip", four_chamber_frames(phases=3))
            if eid == BAD_CMR:
                short.write_bytes(b"PK")
    write_cardiosoft(folder / "20205" / f"{TWICE}_20205_2_1.xml", made_ecg(40))
    # Neither the repeat visit nor the exercise test belongs to the first imaging visit.
    write_cardiosoft(folder / "20205" / f"{EIDS[0]}_20205_3_0.xml", made_ecg(41))
    write_cardiosoft(folder / "6025" / f"{EIDS[0]}_6025_0_0.xml", made_ecg(42))
    fields = [f"{field}-2.0" for field in range(24100, 24182)]
    rows = [[eid, *(100 + 10 * k + j / 10 for j in range(82))] for k, eid in enumerate(EIDS)]
    rows[2][1] = ""
    write_table(folder / "indices.csv", ["eid", *fields, "24100-3.0"], [[*row, 999] for row in rows])
    write_table(
        folder / "people.csv",
        ["eid", "31-0.0", "21003-0.0", "21003-2.0", "12144-2.0", "12143-2.0"],
        [[eid, k % 2, 50, 60 + k, 170, 70 + k] for k, eid in enumerate(EIDS)],
    )
    write_table(
        folder / "diagnoses.csv",
        ["eid", "41270-0.0", "41270-0.1"],
        [[EIDS[0], "I251", "I500"], [EIDS[2], "J459", ""], ["999", "I420", ""]],
    )
    (folder / "w12345_20260101.csv").write_text(f"{WITHDRAWN}\n")
    return folder


def people_of(folder):
    """Whose each row of the source is: who has ECG and CMR comes first."""
    return [entry.person for entry in sorted(index_ukb(folder), key=lambda entry: not entry.is_paired)]


class TestUkb:
    def test_files_of_the_first_imaging_visit_are_found_and_paired(self, ukb):
        entries = index_ukb(ukb)

        assert [entry.person for entry in entries] == sorted([*EIDS, TWICE])
        assert [entry.is_paired for entry in entries if entry.person == TWICE] == [True, False]
        assert not any(entry.is_paired for entry in entries if entry.person == NO_CMR)
        first = entries[0]
        assert first.cmr["short_axis"].name == f"{EIDS[0]}_20209_2_0.zip"
        assert first.cmr["four_chamber"].name == f"{EIDS[0]}_20208_2_0.zip"

    def test_tables_give_indices_and_person_of_that_visit(self, ukb):
        entries = {entry.person: entry for entry in index_ukb(ukb)}

        np.testing.assert_allclose(entries[EIDS[4]].indices, 140 + np.arange(82) / 10, rtol=1e-6)
        assert np.isnan(entries[EIDS[2]].indices[0])
        # Coded 0 female, 1 male there; 0 male, 1 female here.
        assert entries[EIDS[0]].about.tolist() == [1, 60, 170, 70]
        assert entries[EIDS[1]].about.tolist() == [0, 61, 170, 71]

    def test_missing_code_means_no_condition_only_with_a_diagnosis_table(self, ukb):
        entries = {entry.person: entry for entry in index_ukb(ukb)}
        (ukb / "diagnoses.csv").unlink()
        unknown = index_ukb(ukb)

        assert entries[EIDS[0]].conditions.tolist() == [1, 0, 0, 1, 0]
        assert entries[EIDS[2]].conditions.tolist() == [0, 0, 0, 0, 0]
        assert entries[EIDS[6]].conditions.tolist() == [0, 0, 0, 0, 0]
        assert all(np.isnan(entry.conditions).all() for entry in unknown)

    @pytest.mark.parametrize(
        ("header", "cell"), [(["eid", "p41270"], "['I251', 'I500']"), (["eid", "ins_index", "diag_icd10"], None)]
    )
    def test_diagnoses_can_be_a_list_or_a_long_table(self, ukb, header, cell):
        rows = [[EIDS[0], cell]] if cell else [[EIDS[0], 0, "I251"], [EIDS[0], 1, "I500"]]
        write_table(ukb / "diagnoses.csv", header, rows)

        assert index_ukb(ukb)[0].conditions.tolist() == [1, 0, 0, 1, 0]

    def test_columns_can_have_research_analysis_platform_names(self, ukb):
        (ukb / "indices.csv").unlink()
        (ukb / "people.csv").unlink()
        write_table(
            ukb / "rap.csv", ["eid", "p31", "p21003_i2", "p24103_i2", "p24103_i3"], [[EIDS[0], "Male", 64, 55, 1]]
        )

        entry = index_ukb(ukb)[0]

        assert entry.about[:2].tolist() == [0, 64]
        assert entry.indices[INDICES.index("lvEf")] == 55
        assert np.isnan(entry.indices).sum() == 81

    def test_invalid_number_is_named_by_line_and_column_without_its_value(self, ukb):
        write_table(ukb / "indices.csv", ["eid", "24103-2.0"], [[EIDS[0], "secret"]])

        with pytest.raises(SourceError, match=r"indices\.csv: line 2, column 24103-2\.0") as caught:
            index_ukb(ukb)
        assert "secret" not in str(caught.value)

    def test_source_lists_pairs_first_and_leaves_out_unusable_files(self, ukb, capsys):
        source = load_source(f"ukb:{ukb}")

        assert source.millivolt.shape == (13, 12, 1000)
        assert source.paired == 11
        assert source.cines["short_axis"].frames.shape == (11, 50, 128, 128)
        eids = people_of(ukb)
        unused = {eid for eid, split in zip(eids, source.split.tolist(), strict=True) if split == ""}
        assert unused == {BROKEN, WITHDRAWN}
        unpaired = {
            eid for eid, split in zip(eids, source.cines["short_axis"].split.tolist(), strict=False) if split == ""
        }
        assert unpaired == {BROKEN, WITHDRAWN, BAD_CMR}
        assert source.has_indices
        said = capsys.readouterr()
        assert "1 of 13 left out (ecg-unreadable 1)" in said.out + said.err
        assert not any(eid in said.out + said.err for eid in EIDS)

    def test_no_person_is_in_two_splits_and_pairs_match_people(self, ukb):
        source = load_source(f"ukb:{ukb}")

        pairs = source.pairs()

        for number in np.unique(source.who):
            assert len(set(source.split[source.who == number].tolist()) - {""}) <= 1
        twice = [row for row, eid in enumerate(people_of(ukb)) if eid == TWICE]
        assert len(set(source.who[twice].tolist())) == 1
        np.testing.assert_array_equal(pairs.millivolt, source.millivolt[:11])
        # A person's disc is as large as the person's number says: 22, 25 or 28 pixels at the base, two less here.
        radius = np.sqrt((pairs.cines["short_axis"].frames[:, 0] > 128).sum(axis=(1, 2)) / np.pi)
        for row in np.flatnonzero(pairs.split != ""):
            eid = EIDS[round(float(source.person[row, 1]) - 60)]
            assert radius[row] == pytest.approx(20 + 3 * (EIDS.index(eid) % 3), abs=0.5)
            assert source.indices[row, 1] == pytest.approx(100 + 10 * EIDS.index(eid) + 0.1, rel=1e-5)

    def test_second_load_reads_no_source_file(self, ukb, monkeypatch):
        first = load_source(f"ukb:{ukb}")
        monkeypatch.setattr(row_cache, "_run", None)

        again = load_source(f"ukb:{ukb}")

        np.testing.assert_array_equal(first.millivolt, again.millivolt)
        np.testing.assert_array_equal(first.split, again.split)

    def test_folder_without_ecgs_names_the_expected_files(self, tmp_path):
        with pytest.raises(SourceError, match="20205_2_0"):
            load_source(f"ukb:{tmp_path}")


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_resumes_where_it_stopped(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(row_cache, "CHUNK", 3)
    (tmp_path / "marks").mkdir()
    items = [(tmp_path / "marks", k) for k in range(10)]
    layout = {"value": (np.int32, (2,))}
    with pytest.raises(KeyboardInterrupt):
        row_cache.fill(tmp_path / "rows", layout, items, made_until_seven, "rows")

    rows = row_cache.fill(tmp_path / "rows", layout, items, made_row, "rows", workers)

    assert rows.arrays["value"][:, 0].tolist() == [0, 1, 2, 3, 0, 5, 6, 7, 8, 9]
    assert rows.made.tolist() == [k != 4 for k in range(10)]
    assert rows.failures() == {"ecg-gap": 1}
    # The chunks before the kill were not made again.
    assert [len(list((tmp_path / "marks").glob(f"{k}-*"))) for k in (0, 5, 9)] == [1, 1, 1]


def made_row(item):
    """One row; leaves a mark each time it is made."""
    folder, k = item
    count = len(list(folder.glob(f"{k}-*")))
    (folder / f"{k}-{count}").touch()
    if k == 4:
        raise RecordError("ecg-gap")
    return {"value": np.array([k, k])}


def made_until_seven(item):
    """As `made_row`, until somebody pulls the plug."""
    if item[1] == 7:
        raise KeyboardInterrupt
    return made_row(item)


@pytest.fixture
def mimic(tmp_path):
    """Twenty ECGs of eight people."""
    folder = tmp_path / "mimic"
    folder.mkdir()
    records = []
    for k in range(20):
        subject, study = 10000032 + k % 8, 40000000 + k
        path = f"files/p{subject // 10000}/p{subject}/s{study}/{study}"
        write_wfdb(folder / f"{path}.hea", made_ecg(k))
        records.append([subject, study, study, f"2180-0{1 + k % 9}-10 12:00:00", path])
    write_table(folder / "record_list.csv", ["subject_id", "study_id", "file_name", "ecg_time", "path"], records)
    patients = [[10000032 + k, "FM"[k % 2], 60 + k, 2178, "2011 - 2013", ""] for k in range(8)]
    header = ["subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod"]
    write_table(folder / "patients.csv", header, patients)
    return folder


class TestMimic:
    def test_discharge_codes_of_the_surrounding_stay_label_the_ecg(self, mimic):
        (mimic / "hosp").mkdir()
        stays = [
            [10000032, 1, "2180-01-09 08:00:00", "2180-01-12 08:00:00"],
            [10000033, 2, "2180-02-01 00:00:00", "2180-02-28 00:00:00"],
        ]
        write_table(mimic / "hosp" / "admissions.csv", ["subject_id", "hadm_id", "admittime", "dischtime"], stays)
        codes = [[10000032, 1, 1, "I2720", 10], [10000032, 1, 2, "4280", 9], [10000033, 2, 1, "J18", 10]]
        with gzip.open(mimic / "hosp" / "diagnoses_icd.csv.gz", "wt", newline="") as file:
            csv.writer(file).writerows([["subject_id", "hadm_id", "seq_num", "icd_code", "icd_version"], *codes])

        entries = index_mimic(mimic)

        assert entries[0].conditions.tolist() == [0, 0, 0, 1, 1]
        assert entries[1].conditions.tolist() == [0, 0, 0, 0, 0]
        # The same person's ECG of September, out of any stay.
        assert entries[8].person == entries[0].person
        assert np.isnan(entries[8].conditions).all()
        assert entries[0].about[:2].tolist() == [1, 62]

    def test_extension_with_codes_per_record_takes_precedence(self, mimic):
        header = ["file_name", "study_id", "subject_id", "all_diag_all", "gender", "age"]
        rows = [["a", 40000000, 10000032, "['I27', 'I420']", "M", 71.0], ["b", 40000001, 10000033, "[]", "", ""]]
        write_table(mimic / "records_w_diag_icd10.csv", header, rows)

        entries = index_mimic(mimic)

        assert entries[0].conditions.tolist() == [0, 1, 0, 0, 1]
        assert entries[0].about[:2].tolist() == [0, 71]
        assert np.isnan(entries[1].conditions).all()
        assert entries[1].about[:2].tolist() == [0, 63]

    def test_studies_are_found_by_number_without_a_record_list(self, mimic):
        listed = index_mimic(mimic)
        with (mimic / "record_list.csv").open(newline="") as file:
            rows = [[row["subject_id"], row["study_id"], row["ecg_time"]] for row in csv.DictReader(file)]
        (mimic / "record_list.csv").unlink()
        write_table(mimic / "machine_measurements.csv", ["subject_id", "study_id", "ecg_time"], rows)

        assert [entry.ecg for entry in index_mimic(mimic)] == [entry.ecg for entry in listed]

    def test_no_person_with_several_ecgs_is_in_two_splits(self, mimic):
        source = load_source(f"mimic:{mimic}")

        assert len(np.unique(source.who)) == 8
        assert (source.split != "").all()
        for number in range(8):
            assert len(set(source.split[source.who == number].tolist())) == 1
        with pytest.raises(SourceError, match="no CMR"):
            source.pairs()

    def test_a_missing_column_is_named(self, mimic):
        write_table(mimic / "patients.csv", ["subject_id", "gender"], [[10000032, "F"]])

        with pytest.raises(SourceError, match="anchor_age"):
            index_mimic(mimic)


class TestManifest:
    def test_splits_are_7_1_2_by_person_and_stable_as_the_cohort_grows(self):
        splits = [split_of(str(k)) for k in range(5000)]

        shares = [splits.count(name) / 5000 for name in ("train", "val", "test")]
        np.testing.assert_allclose(shares, (0.7, 0.1, 0.2), atol=0.02)
        assert [split_of("1000010"), split_of("1000017"), split_of("10000032")] == ["train", "test", "train"]

    def test_a_person_in_two_splits_is_refused(self, tmp_path):
        entry = Entry(tmp_path, "p", split="train")

        with pytest.raises(SourceError, match="two splits"):
            splits_of([entry, replace(entry, split="test")])
        # One ECG with a split decides for the person's others.
        assert splits_of([replace(entry, split=None), replace(entry, split="val")]).tolist() == ["val", "val"]

    @pytest.mark.parametrize(
        ("name", "instance", "position"),
        [
            ("lvEf", None, 3), ("24103", None, 3), ("24103-2.0", None, 3), ("24103-2.0", "2", 3), ("p24103_i2", "2", 3),
            ("24103-3.0", "2", None), ("p24103_i3", "2", None), ("24182-2.0", "2", None), ("24099", None, None),
            ("age", None, None),
        ],
    )  # fmt: skip
    def test_index_columns(self, name, instance, position):
        assert index_of_column(name, instance) == position

    def test_manifest_is_read_with_its_optional_columns(self, tmp_path):
        path = tmp_path / "cohort.csv"
        path.write_text("\ufefffile,person,sex,age,cad,hf,lvEf,split\na.hea,p1,Female,61,1,,55,test\nb.xml,,,,,0,,\n")

        first, second = read_manifest(path)

        assert first.ecg == tmp_path / "a.hea"
        assert first.about[:2].tolist() == [1, 61]
        np.testing.assert_array_equal(first.conditions, [1, *[np.nan] * 4])
        assert (first.split, first.person) == ("test", "p1")
        assert first.indices[INDICES.index("lvEf")] == 55
        assert second.person != first.person
        assert second.conditions[CONDITIONS.index("hf")] == 0

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("name,cad\na,1\n", "no column `file`"),
            ("file,cad\na,2\n", "line 2, column cad"),
            ("file,sex\na,other\n", "line 2, column sex"),
            ("file,age\na,1\nb,old\n", "line 3, column age"),
            ("file,split\na,dev\n", "line 2, column split"),
            ("file,cad\n,1\n", "line 2, column file"),
        ],
    )
    def test_error_is_named_by_line_and_column(self, tmp_path, text, message):
        path = tmp_path / "cohort.csv"
        path.write_text(text)

        with pytest.raises(SourceError, match=message):
            read_manifest(path)

    @pytest.mark.parametrize("spec", ["", "ukb", "ukb:", "hospital:/x", "csv:/nowhere.csv"])
    def test_invalid_source_spec_is_refused(self, spec):
        with pytest.raises(SourceError):
            load_source(spec)


class TestStages:
    """The stages as they are, on what the loaders give."""

    def test_a_hospital_cohort_can_fine_tune(self, tmp_path, training_data):
        rows = ["file,person,hf,cad"]
        for k in range(16):
            write_wfdb(tmp_path / f"{k}.hea", made_ecg(k))
            rows.append(f"{k}.hea,p{k // 2},{k % 2},{'' if k % 3 else 1}")
        (tmp_path / "cohort.csv").write_text("\n".join(rows))
        source = load_source(f"csv:{tmp_path / 'cohort.csv'}")

        data = TrainingData(source.real_set(), training_data.virtual)
        made = train_screening(tiny_config(steps=3), data, tmp_path / "run")

        assert made.exists()
        folds = source.real_set().fold
        assert set(folds.tolist()) <= {1, 8, 9}
        assert folds.tolist()[::2] == folds.tolist()[1::2]

    def test_masked_modelling_and_alignment_run_on_ukb(self, ukb, tmp_path):
        torch.manual_seed(1)
        pairs = load_source(f"ukb:{ukb}").pairs()
        optimisation = OptimisationConfig(steps=2, learning_rate=1e-3)
        small = replace(compact("short_axis"), batch=2, validation_cines=2, optimisation=optimisation)
        pretrained = pretrain_cmr(small, pairs.cines["short_axis"], tmp_path / "cmr")
        # Smaller than what was pretrained: this is about the data.
        encoder = Swin(SwinConfig(image=24, frames=50, window=3, dim=8, depths=(1, 1), heads=(1, 2))).requires_grad_(
            False
        )

        aligned = align(
            ContrastiveConfig(
                batch=4,
                projection=16,
                cine_copies=1,
                encoder=TINY,
                augment=AugmentConfig(),
                optimisation=optimisation,
            ),
            pairs,
            {"short_axis": encoder, "four_chamber": encoder},
            tmp_path / "align",
        )

        assert pretrained.exists()
        assert aligned.exists()

    def test_the_whole_programme_runs_on_ukb(self, ukb, tmp_path):
        run = Run(tiny_programme(), tmp_path / "run", data=f"ukb:{ukb}")

        made = {name: stage(run) for name, stage in STAGES.items()}

        assert made["cohort"] == made["ablation"] == []
        assert {name for name, paths in made.items() if paths} == set(STAGES) - {"cohort", "ablation"}
        model, _ = load_trained(run.screening())
        assert model.function_head.middle[1] > 100

    def test_the_paper_s_kinds_of_networks_run_every_stage_on_ukb_from_one_command(self, ukb, tmp_path, capsys):
        (tmp_path / "small.toml").write_text(SMALL_PAPER)
        arguments = (
            f"--threads 1 train --config {tmp_path}/small.toml --data ukb:{ukb} --run-dir {tmp_path}/run --dry-run 11"
        )

        code = main.parse(arguments.split()).command()

        assert code == 0
        folder = tmp_path / "run" / "dry-run"
        made = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("model.safetensors")}
        assert made == {
            "cmr/views",
            *(f"cmr/{view}" for view in VIEWS),
            "ecg",
            "align",
            "screening",
            "vae",
            "diffusion",
        }
        said = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
        stages = [name for name in STAGES if name not in ("cohort", "distillation", "ablation")]
        assert list(dict.fromkeys(name for name in said if name in STAGES)) == stages
        model, described = load_trained(folder / "screening" / "model.pt")
        assert described["encoder"]["samples"] == 5000
        # Whole windows at 500 Hz go in: no sample is left out.
        window = torch.zeros(1, 12, 5000), torch.tensor([[[-1.0, 1.0]] * 12]), torch.ones(1, 12)
        millivolt = model.encoder.frontend(*window)
        assert millivolt.shape == (1, 12, 5000)

    def test_virtual_cohort_is_a_source(self, tmp_path):
        cohort.generate(tmp_path / "cohort", 6, 3, cines=4)

        source = load_source(f"virtual:{tmp_path / 'cohort'}")

        assert source.paired == 4
        assert source.pairs().millivolt.shape == (4, 12, 1000)
        assert source.conditions.shape == (6, 5)
        assert not np.isnan(source.indices).any()
