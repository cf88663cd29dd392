import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.cines import CineSet
from cardiacnets.models.greenmim import GreenMim, GreenMimConfig
from cardiacnets.models.swin import Swin, SwinConfig
from cardiacnets.stages import cmr_pretraining
from cardiacnets.stages.cmr_pretraining import (
    CmrPretrainingConfig,
    ViewsConfig,
    load_encoder,
    pretrain_cmr,
    pretrain_views,
)
from cardiacnets.stages.loop import OptimisationConfig

SWIN = SwinConfig(image=48, frames=6, window=3, dim=16, depths=(2, 2, 2), heads=(1, 2, 4))


def tiny_config(steps=30):
    """A configuration that trains in seconds."""
    return CmrPretrainingConfig(
        crop=48,
        batch=8,
        mim=GreenMimConfig(SWIN, decoder_dim=32, decoder_heads=2, target_frames=6, motion=1.0),
        optimisation=OptimisationConfig(steps=steps, learning_rate=3e-3, save_every=10),
    )


@pytest.fixture
def cines():
    """Bright rings on a dark field that widen and narrow over 6 frames, of 40 people."""
    rng = np.random.default_rng(4)
    row, column = np.mgrid[:56, :56]
    frames = []
    for _ in range(40):
        middle, radius = 28 + rng.uniform(-3, 3, 2), rng.uniform(9, 15)
        distance = np.hypot(row - middle[0], column - middle[1])
        beat = radius * (1 - 0.25 * np.sin(np.arange(6) * np.pi / 6))
        frames.append(200 * np.exp(-0.5 * ((distance - beat[:, None, None]) / 3) ** 2) + rng.uniform(0, 20))
    return CineSet(np.array(frames).astype(np.uint8), np.repeat(["train", "val", "test"], [28, 4, 8]))


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_short_run_improves_reconstruction_for_unseen_people(cines, tmp_path):
    pretrain_cmr(tiny_config(steps=100), cines, tmp_path)

    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == list(range(10, 101, 10))
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    assert lines[-1]["validation"]["masked"] < 0.6 * lines[0]["validation"]["masked"]


def test_killed_run_ends_with_the_same_weights_and_log(cines, tmp_path, monkeypatch):
    unbroken = torch.load(pretrain_cmr(tiny_config(), cines, tmp_path / "unbroken"), weights_only=True)
    kill_after(monkeypatch, 17)
    with pytest.raises(KeyboardInterrupt):
        pretrain_cmr(tiny_config(), cines, tmp_path / "killed")
    monkeypatch.undo()

    resumed = torch.load(pretrain_cmr(tiny_config(), cines, tmp_path / "killed"), weights_only=True)

    for name, value in unbroken["model"].items():
        assert torch.equal(value, resumed["model"][name]), name
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "unbroken")


def kill_after(monkeypatch, steps):
    """Interrupt the run in its augmentation after so many steps."""
    draw, calls = cmr_pretraining.draw_affine, iter(range(steps))

    def killed(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(cmr_pretraining, "draw_affine", killed)


def test_a_checkpoint_of_another_configuration_is_refused(cines, tmp_path):
    pretrain_cmr(tiny_config(steps=2), cines, tmp_path)

    with pytest.raises(ValueError, match="another configuration"):
        pretrain_cmr(replace(tiny_config(steps=2), batch=4), cines, tmp_path)


def test_only_training_people_are_used(cines, tmp_path, monkeypatch):
    seen = set()
    monkeypatch.setattr(CineSet, "take", lambda cines, rows, take=CineSet.take: seen.update(rows) or take(cines, rows))

    pretrain_cmr(replace(tiny_config(steps=8), validation_cines=0), cines, tmp_path)

    assert seen == set(range(28))


def test_frozen_encoder_equals_the_trained_one(cines, tmp_path):
    path = pretrain_cmr(tiny_config(steps=2), cines, tmp_path)
    image = torch.randn(2, 6, 48, 48)

    encoder = load_encoder(path)

    trained = GreenMim(tiny_config().mim)
    trained.load_state_dict(torch.load(path, weights_only=True)["model"])
    assert torch.equal(encoder.embedding(image), trained.encoder.embedding(image))
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


NORMALISED = replace(SWIN, intensity="cine")


def joint_config(steps):
    view = replace(tiny_config(), mim=replace(tiny_config().mim, swin=NORMALISED))
    optimisation = OptimisationConfig(steps=steps, learning_rate=2e-3, save_every=steps // 2)
    return ViewsConfig(
        {"short_axis": view, "four_chamber": view}, batch=14, masked=4, projection=16, optimisation=optimisation
    )


def test_an_embedding_of_a_normalised_cine_knows_no_brightness_and_no_contrast():
    torch.manual_seed(2)
    image = torch.randn(2, 6, 48, 48)
    brighter = 0.5 + 0.3 * image

    given, normalised = Swin(SWIN).eval(), Swin(NORMALISED).eval()

    assert torch.allclose(normalised.embedding(image), normalised.embedding(brighter), atol=1e-4)
    assert not torch.allclose(given.embedding(image), given.embedding(brighter), atol=1e-2)


def test_both_views_learn_to_draw_what_is_masked_and_to_find_each_other(cines, tmp_path):
    # The other view of a person: the same heart, of the same size, from another side.
    other = CineSet(np.ascontiguousarray(cines.frames[:, :, :, ::-1]), cines.split)

    paths = pretrain_views(joint_config(120), {"short_axis": cines, "four_chamber": other}, tmp_path)

    first, last = log_of(tmp_path / "views")
    assert last["loss"] < first["loss"]
    for view, path in paths.items():
        assert path == tmp_path / view / "model.pt"
        assert last["validation"][f"{view}.masked"] < 1
        assert load_encoder(path).config == NORMALISED


def test_joint_training_sees_the_same_training_people_in_both_views(cines, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        CineSet, "take", lambda cines, rows, take=CineSet.take: seen.append(set(rows)) or take(cines, rows)
    )

    config = replace(joint_config(4), validation_cines=0)
    pretrain_views(config, {"short_axis": cines, "four_chamber": cines}, tmp_path)

    assert seen[::2] == seen[1::2]
    assert set.union(*seen) <= set(range(28))
