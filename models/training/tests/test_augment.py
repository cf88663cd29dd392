import torch

from cardiacnets.models.augment import AugmentConfig, augment, crop_resize, random_lead_mask


def test_every_ecg_keeps_a_lead_and_limb_leads_are_kept_together_or_singly():
    mask = random_lead_mask(2000, 1.0, torch.Generator().manual_seed(5))

    assert (mask.sum(dim=1) >= 1).all()
    assert (mask.sum(dim=1) == 1).float().mean() > 0.2
    assert ((mask[:, :6] == 1).all(dim=1) & (mask[:, 6:] == 0).all(dim=1)).float().mean() > 0.2


def test_no_lead_is_lost_when_dropout_is_off():
    mask = random_lead_mask(100, 0.0, torch.Generator().manual_seed(5))

    assert (mask == 1).all()


def test_crop_resize_without_cropping_is_the_identity():
    ecg = torch.randn(3, 12, 1000, generator=torch.Generator().manual_seed(1))

    same = crop_resize(ecg, 0.0, torch.Generator().manual_seed(2))

    torch.testing.assert_close(same, ecg, rtol=0, atol=1e-3)


def test_absent_leads_are_zero_and_unknown_person_fields_stay_unknown():
    ecg = torch.randn(64, 12, 1000)
    person = torch.tensor([[0.0, 60.0, float("nan"), float("nan")]]).repeat(64, 1)

    changed, lead_mask, person_mask = augment(ecg, person, AugmentConfig(), torch.Generator().manual_seed(9))

    assert (changed[lead_mask == 0] == 0).all()
    assert (person_mask[:, 2:] == 0).all()
    assert 0.3 < person_mask[:, :2].mean() < 0.7


def test_the_same_generator_gives_the_same_batch():
    ecg, person = torch.randn(8, 12, 1000), torch.zeros(8, 4)

    first = augment(ecg, person, AugmentConfig(), torch.Generator().manual_seed(4))
    second = augment(ecg, person, AugmentConfig(), torch.Generator().manual_seed(4))

    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
