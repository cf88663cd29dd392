import torch

from cardiacnets.domain import INDICES
from cardiacnets.models.heads import FunctionHead, consistent


def column(name):
    return INDICES.index(name)


def test_ef_is_stroke_volume_over_end_diastolic_volume_for_any_output():
    torch.manual_seed(1)
    wild = 200 * torch.randn(500, len(INDICES))

    mean = consistent(wild)

    for chamber, largest, smallest in (
        ("lv", "Edv", "Esv"),
        ("rv", "Edv", "Esv"),
        ("la", "MaxVolume", "MinVolume"),
        ("ra", "MaxVolume", "MinVolume"),
    ):
        big, small, stroke, ef = (mean[:, column(chamber + part)] for part in (largest, smallest, "Sv", "Ef"))
        assert torch.allclose(ef, 100 * stroke / big, atol=1e-3)
        assert torch.allclose(small, big - stroke, atol=1e-3)
        assert (stroke > 0).all()
        assert (small > 0).all()


def test_consistent_indices_are_unchanged():
    mean = torch.full((1, len(INDICES)), 50.0)
    for first in (0, 6, 10, 14):
        mean[0, first : first + 4] = torch.tensor([150.0, 60.0, 90.0, 60.0])

    assert torch.allclose(consistent(mean), mean)


def test_head_gives_consistent_indices():
    head = FunctionHead(16)
    head.middle.fill_(60)
    mean, logvar = head(torch.randn(4, 16))

    assert mean.shape == logvar.shape == (4, len(INDICES))
    assert torch.allclose(mean[:, column("lvEf")], 100 * mean[:, column("lvSv")] / mean[:, column("lvEdv")], atol=1e-3)
