import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.cines import CineSet
from cardiacnets.data.paired import PairedSet
from cardiacnets.metrics import retrieval_rank
from cardiacnets.models.augment import AugmentConfig
from cardiacnets.models.encoder import EncoderConfig, Trunk
from cardiacnets.models.swin import Swin, SwinConfig
from cardiacnets.stages import contrastive
from cardiacnets.stages.contrastive import ContrastiveConfig, align, info_nce, load_aligned_trunk, retrieval
from cardiacnets.stages.loop import OptimisationConfig

SWIN = SwinConfig(image=24, frames=6, window=3, dim=8, depths=(1, 1), heads=(1, 2))


def tiny_config(steps=30):
    """A configuration that trains in seconds."""
    return ContrastiveConfig(
        batch=16,
        projection=16,
        whitened=4,
        cine_copies=1,
        encoder=EncoderConfig(widths=(8, 16), blocks=1, embedding=32, dropout=0.0),
        augment=AugmentConfig(lead_dropout=0.0, person_dropout=0.0),
        optimisation=OptimisationConfig(steps=steps, learning_rate=5e-3, save_every=10),
    )


@pytest.fixture
def pairs():
    """60 people; the height of the R wave goes with the size of the bright disc in both views."""
    rng = np.random.default_rng(5)
    n = 60
    size = rng.uniform(0, 1, n)
    time = np.arange(1000) / 100
    wave = np.exp(-0.5 * (((time % 1) - 0.5) / 0.03) ** 2)
    millivolt = (0.3 + 2 * size)[:, None, None] * wave + rng.normal(0, 0.02, (n, 12, 1000))
    row, column = np.mgrid[:80, :80]
    disc = np.hypot(row - 40, column - 40) < (8 + 24 * size)[:, None, None]
    frames = np.repeat((200 * disc[:, None]).astype(np.uint8), 6, axis=1)
    split = np.repeat(["train", "val", "test"], [40, 12, 8])
    return PairedSet(
        millivolt=millivolt.astype(np.float16),
        person=np.full((n, 4), np.nan, dtype=np.float32),
        cines={"short_axis": CineSet(frames, split), "four_chamber": CineSet(frames.copy(), split)},
        split=split,
    )


@pytest.fixture
def encoders():
    torch.manual_seed(6)
    return {"short_axis": Swin(SWIN).requires_grad_(False), "four_chamber": Swin(SWIN).requires_grad_(False)}


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_short_run_aligns_each_ecg_with_its_own_cines(pairs, encoders, tmp_path):
    align(tiny_config(steps=80), pairs, encoders, tmp_path)

    first, *_, last = log_of(tmp_path)
    assert last["loss"] < 0.85 * first["loss"]
    for view in pairs.cines:
        assert last["validation"][f"{view}.among"] == 12
        assert last["validation"][f"{view}.medianRank"] <= 3  # 6.5 by chance


def test_shuffled_run_differs_by_whose_cines_belong_to_an_ecg_and_by_nothing_else(
    pairs, encoders, tmp_path, monkeypatch
):
    train = np.flatnonzero(pairs.split == "train")
    others = contrastive.strangers(train, seed=1)
    assert sorted(others) == train.tolist()
    assert (others != train).all()

    plain, shuffled = tiny_config(steps=4), replace(tiny_config(steps=4), shuffled=True)

    def weights(config, folder):
        return torch.load(align(config, pairs, encoders, tmp_path / folder), weights_only=True)["model"][
            "trunk.stem.weight"
        ]

    true_pairs, control = weights(plain, "plain"), weights(shuffled, "shuffled")
    monkeypatch.setattr(contrastive, "strangers", lambda rows, _: rows)

    assert not torch.equal(true_pairs, control)
    assert torch.equal(true_pairs, weights(shuffled, "own"))


def test_killed_run_ends_with_the_same_weights(pairs, encoders, tmp_path, monkeypatch):
    unbroken = torch.load(align(tiny_config(), pairs, encoders, tmp_path / "unbroken"), weights_only=True)["model"]
    augment, calls = contrastive.augment, iter(range(17))

    def killed(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return augment(*arguments)

    monkeypatch.setattr(contrastive, "augment", killed)
    with pytest.raises(KeyboardInterrupt):
        align(tiny_config(), pairs, encoders, tmp_path / "killed")
    monkeypatch.undo()

    resumed = torch.load(align(tiny_config(), pairs, encoders, tmp_path / "killed"), weights_only=True)["model"]

    for name, value in unbroken.items():
        assert torch.equal(value, resumed[name]), name


def test_cmr_encoders_are_frozen_and_the_ecg_encoder_starts_from_given_weights(pairs, encoders, tmp_path):
    before = {view: [p.clone() for p in encoder.parameters()] for view, encoder in encoders.items()}
    config = tiny_config(steps=1)
    start = Trunk(config.encoder)

    path = align(
        replace(config, optimisation=replace(config.optimisation, learning_rate=1e-9)), pairs, encoders, tmp_path, start
    )

    for view, encoder in encoders.items():
        assert all(map(torch.equal, before[view], encoder.parameters()))
    for (name, first), last in zip(start.named_parameters(), load_aligned_trunk(path).parameters(), strict=True):
        assert torch.allclose(first, last, atol=1e-7), name


@pytest.mark.parametrize("changed", ["encoder", "cines"])
def test_cached_features_of_another_encoder_or_cohort_are_not_used(pairs, encoders, tmp_path, changed):
    align(tiny_config(steps=1), pairs, encoders, tmp_path / "run")
    kept = set((tmp_path / "run" / "features").iterdir())
    (tmp_path / "run" / "checkpoint.pt").unlink()
    if changed == "encoder":
        torch.nn.init.ones_(encoders["short_axis"].embed.bias)
    else:
        pairs.cines["short_axis"].frames[:] //= 2

    align(tiny_config(steps=1), pairs, encoders, tmp_path / "run")

    added = set((tmp_path / "run" / "features").iterdir()) - kept
    assert [path.name.split("-")[0] for path in added] == ["short_axis"]


def test_pairs_of_other_people_are_refused(pairs):
    cines = replace(pairs.cines["short_axis"], split=pairs.split[::-1])

    with pytest.raises(ValueError, match="same people"):
        replace(pairs, cines={"short_axis": cines})


def test_info_nce_averages_both_directions():
    ecg = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.6, 0.8]]), dim=1)
    cine = torch.nn.functional.normalize(torch.tensor([[0.8, 0.6], [0.0, 1.0]]), dim=1)

    loss = info_nce(ecg, cine, temperature=0.5)

    s = [[math.exp(2 * 0.8), math.exp(0)], [math.exp(2 * 0.96), math.exp(2 * 0.8)]]
    rows = -math.log(s[0][0] / sum(s[0])) - math.log(s[1][1] / sum(s[1]))
    columns = -math.log(s[0][0] / (s[0][0] + s[1][0])) - math.log(s[1][1] / (s[0][1] + s[1][1]))
    assert loss.item() == pytest.approx((rows + columns) / 4, rel=1e-5)


def test_rank_counts_cines_nearer_than_the_own():
    query = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    key = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])

    assert retrieval_rank(query, key).tolist() == [1, 2, 2]


def test_identical_embeddings_retrieve_nothing():
    same = np.ones((50, 4))

    figures = retrieval(same, same)

    assert figures == {"among": 50, "medianRank": 50.0, "ci": [50.0, 50.0], "recall1": 0.0, "recall10": 0.0}


def test_retrieval_uses_the_requested_number_of_people():
    rng = np.random.default_rng(7)
    points = rng.normal(size=(300, 64))
    points /= np.linalg.norm(points, axis=1, keepdims=True)

    perfect, chance = retrieval(points, points, among=100), retrieval(points, np.roll(points, 1, axis=0), among=100)

    assert perfect == {"among": 100, "medianRank": 1.0, "ci": [1.0, 1.0], "recall1": 1.0, "recall10": 1.0}
    assert 35 < chance["medianRank"] < 65
    assert chance["ci"][0] < chance["medianRank"] < chance["ci"][1]
    assert chance["recall10"] == pytest.approx(0.1, abs=0.07)
