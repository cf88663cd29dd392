import numpy as np
import pytest
import torch

from cardiacnets.data.real import RealSet
from cardiacnets.domain import CONDITIONS
from cardiacnets.evaluation import fit_ood as stage
from cardiacnets.evaluation.fit_ood import OodConfig, fit_ood
from cardiacnets.metrics import auroc
from cardiacnets.models.augment import AugmentConfig, augment
from cardiacnets.models.devices import as_another_device
from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.models.ood import Ood, SignalMeasures
from cardiacnets.reference.synthetic import synthetic_ecg
from cardiacnets.signal.outliers import KINDS, make_outliers, twelve_leads

LIMB_LAW = 0


def some_ecgs(count, seed=4):
    """mV [count][12][1000] whose limb leads obey their equations."""
    rng = np.random.default_rng(seed)
    channels = [synthetic_ecg(rng, leads=12, heart_rate_bpm=rng.uniform(55, 100))[:8, ::5] for _ in range(count)]
    return np.stack([twelve_leads(eight) for eight in channels]).astype(np.float32)


def measures(ecg, mask=None):
    signal = torch.from_numpy(np.asarray(ecg, dtype=np.float32))
    given = torch.ones(len(signal), 12) if mask is None else mask
    return SignalMeasures()(signal * given.unsqueeze(-1), given)


@pytest.mark.parametrize("kind", KINDS)
def test_outliers_depend_on_the_seed(kind):
    ecgs = some_ecgs(2)

    first, again, other = (make_outliers(kind, ecgs, seed) for seed in (1, 1, 2))

    assert first.shape == (2, 12, 1000)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shuffled_leads_violate_the_limb_law_and_intact_ecgs_do_not():
    ecgs = some_ecgs(6)

    assert measures(ecgs)[:, LIMB_LAW].max() == 0
    assert measures(make_outliers("shuffled leads", ecgs, 1))[:, LIMB_LAW].min() > 1
    assert measures(make_outliers("one lead copied", ecgs, 1))[:, LIMB_LAW].min() > 1


def test_law_that_cannot_be_checked_counts_as_kept():
    chest_only = torch.zeros(2, 12)
    chest_only[:, 6:] = 1

    assert measures(some_ecgs(2), chest_only)[:, :2].abs().max() == 0


def test_measures_of_a_zero_signal_are_finite():
    nothing = measures(np.zeros((1, 12, 1000)))

    assert nothing.shape == (1, SignalMeasures.count)
    assert torch.isfinite(nothing).all()


def test_score_learns_to_separate_and_is_cached_for_its_trunk(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path))
    ecgs = some_ecgs(60).astype(np.float16)
    nobody = np.full((60, 4), np.nan, dtype=np.float32)
    labels = np.zeros((60, len(CONDITIONS)), dtype=np.float32)
    real = RealSet(ecgs, labels, np.zeros((60, 1), dtype=bool), nobody, np.repeat([1, 8], 30))
    torch.manual_seed(1)
    trunk = Trunk(EncoderConfig(widths=(8, 16), blocks=1, embedding=32)).eval()
    config = OodConfig(real=30, rare=0, virtual=0, each_kind=8, steps=150, checked=8)

    ood, unseen = fit_ood(config, trunk, real, None, tmp_path / "ood")
    monkeypatch.setattr(stage, "fit", lambda *_: pytest.fail("was fitted again"))
    again, _ = fit_ood(config, trunk, real, None, tmp_path / "ood")

    assert set(unseen) == set(KINDS)
    everything = torch.ones(30, 12)
    with torch.no_grad():
        inside = _score(ood, trunk, torch.from_numpy(ecgs[30:].astype(np.float32)), everything)
        outside = _score(ood, trunk, torch.from_numpy(make_outliers("EEG-like", ecgs[:30], 3)), everything)
        assert torch.equal(inside, _score(again, trunk, torch.from_numpy(ecgs[30:].astype(np.float32)), everything))
    assert (inside > 0).sum() <= 1
    is_outlier = np.repeat([False, True], [len(inside), len(outside)])
    assert auroc(is_outlier, torch.cat([inside, outside]).numpy()) > 0.95


def test_a_statement_is_no_reason_to_call_an_ecg_none(monkeypatch):
    monkeypatch.setattr(stage, "GROUP_LEAST", 10)
    ecg = torch.from_numpy(some_ecgs(60))
    torch.manual_seed(2)
    trunk = Trunk(EncoderConfig(widths=(8, 16), blocks=1, embedding=32)).eval()
    ood = Ood(0).eval()
    with torch.no_grad():
        odd = ood.raw(ood.features(ecg, torch.ones(60, 12), torch.zeros(60, 1, 0))).argsort()[-12:]
    has = np.zeros((60, 2), dtype=bool)
    has[odd, 0] = True
    has[odd[:5], 1] = True  # too few to count

    stage.set_limits(ood, trunk, ecg, np.zeros((60, 2), dtype=bool))
    before = ood.offset.clone()
    stage.set_limits(ood, trunk, ecg, has)

    assert (ood.offset >= before).all()
    with torch.no_grad():
        score = ood(ecg, torch.ones(60, 12), torch.zeros(60, 1, 0))
    assert (score[odd] > 0).sum() <= 1


def test_rare_statements_come_often_among_what_the_score_learns_from(tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIACNETS_CACHE", str(tmp_path))
    ecgs = some_ecgs(40).astype(np.float16)
    nobody = np.full((40, 4), np.nan, dtype=np.float32)
    paced = (np.arange(40) == 3)[:, None]
    real = RealSet(ecgs, np.zeros((40, len(CONDITIONS)), dtype=np.float32), paced, nobody, np.repeat([1, 8], 20))
    trunk = Trunk(EncoderConfig(widths=(8, 16), blocks=1, embedding=32)).eval()
    seen = []
    monkeypatch.setattr(stage, "augment", lambda ecg, *_: seen.append(ecg) or (ecg, torch.ones(len(ecg), 12), None))

    stage.training_rows(OodConfig(real=20, rare=200, virtual=0, each_kind=2), Ood(0).eval(), trunk, real, None)

    alike = (seen[0] - torch.from_numpy(ecgs[3].astype(np.float32))).abs().amax(dim=(1, 2)) == 0
    assert 0.4 < alike[20:].float().mean() < 0.6


def _score(ood, trunk, ecg, mask):
    tokens, _ = trunk(ecg, mask, torch.zeros(len(ecg), 4), torch.zeros(len(ecg), 4))
    return ood(ecg, mask, tokens)


def test_another_device_breaks_the_limb_law_a_little_at_most():
    ecg = torch.from_numpy(some_ecgs(40))

    other = as_another_device(ecg, torch.Generator().manual_seed(3))
    broken = SignalMeasures()(other, torch.ones(len(other), 12))[:, LIMB_LAW]
    in_disorder = measures(make_outliers("shuffled leads", some_ecgs(40), 1))[:, LIMB_LAW]

    assert other.shape == ecg.shape
    assert (other - ecg).abs().amax(dim=(1, 2)).min() > 0.01
    assert (broken > 0).any()
    assert broken.median() < in_disorder.min()


def test_only_a_share_of_the_batch_comes_from_other_devices():
    ecg, person = torch.from_numpy(some_ecgs(40)), torch.zeros(40, 4)
    as_it_is = AugmentConfig(crop_resize=0, gain=0, noise_mv=0, lead_dropout=0)
    changed = AugmentConfig(crop_resize=0, gain=0, noise_mv=0, lead_dropout=0, devices=0.5)

    plain, *_ = augment(ecg.clone(), person, as_it_is, torch.Generator().manual_seed(1))
    mixed, *_ = augment(ecg.clone(), person, changed, torch.Generator().manual_seed(1))

    differs = (plain - mixed).abs().amax(dim=(1, 2)) > 1e-3
    assert 5 < differs.sum() < 35
