import json
from dataclasses import replace

import numpy as np
import torch

from cardiacnets.models.ecg_mim import EcgMim, EcgMimConfig, draw_hidden
from cardiacnets.stages.ecg_pretraining import EcgPretrainingConfig, EcgSource, load_pretrained_trunk, pretrain_ecg
from cardiacnets.stages.loop import OptimisationConfig

from .conftest import TINY, bumps

CONFIG = EcgMimConfig(encoder=replace(TINY, dropout=0.0), decoder=16)


def sources():
    rng = np.random.default_rng(2)
    ecg = bumps(rng, 60, rng.random(60) < 0.5)
    return [EcgSource(name, ecg, np.arange(0, 50), np.arange(50, 60)) for name in ("real", "virtual")]


def test_mask_has_the_requested_share_and_includes_patches_of_all_leads():
    hidden = draw_hidden(200, 50, EcgMimConfig(), torch.Generator().manual_seed(1))

    assert hidden.sum(dim=-1).eq(30).all()
    together = hidden.eq(hidden[:, :1]).flatten(1).all(dim=1).float().mean()
    assert 0.4 < together < 0.6


def test_masked_patches_do_not_reach_the_encoder():
    model = EcgMim(CONFIG).eval()
    seen = []
    model.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    model.loss(torch.ones(4, 12, 1000), 0.0, torch.Generator().manual_seed(1))

    assert seen[0].mean().item() == np.float32(1 - CONFIG.hidden)


def test_tiny_run_learns_to_reconstruct_masked_patches(tmp_path):
    optimisation = OptimisationConfig(steps=60, save_every=10, learning_rate=5e-3)
    config = EcgPretrainingConfig(batch=16, mim=CONFIG, optimisation=optimisation)

    model = pretrain_ecg(config, sources(), tmp_path)

    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    assert set(log[-1]["validation"]) == {"real", "virtual"}
    assert load_pretrained_trunk(model)(torch.zeros(1, 12, 1000), *[torch.zeros(1, n) for n in (12, 4, 4)])[1].shape
