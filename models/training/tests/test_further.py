import json
from dataclasses import replace

import numpy as np
import torch

from cardiacnets.models.augment import AugmentConfig
from cardiacnets.models.screen import Screen
from cardiacnets.stages.further import FurtherConfig, features_of, train_further
from cardiacnets.stages.screening import OptimisationConfig, load_trained, validate

from .conftest import TINY, tiny_config


def test_heads_learn_from_the_teacher_with_frozen_convolutions(training_data, tmp_path):
    upright = training_data.real.cad
    teacher = np.where(upright, 2.0, -6.0).astype(np.float32)
    data = replace(training_data, real=replace(training_data.real, teacher=teacher))
    torch.manual_seed(3)
    start = Screen(TINY).eval()
    features = {
        name: features_of(start.encoder.trunk, some.millivolt, AugmentConfig(), seed=1)
        for name, some in (("real", data.real), ("virtual", data.virtual))
    }
    settings = replace(tiny_config(average=0.9), real_batch=24, virtual_batch=24)
    config = FurtherConfig(settings, optimisation=OptimisationConfig(steps=150, learning_rate=5e-3, save_every=50))

    path = train_further(config, data, features, start, tmp_path)

    model, _ = load_trained(path)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert validate(model, data)["hfTeacherR"] > 0.8
    for name, value in start.encoder.trunk.state_dict().items():
        if name.startswith(("stem", "stages", "attention")):
            assert torch.equal(value, model.encoder.trunk.state_dict()[name]), name
    assert not torch.equal(start.encoder.trunk.project.weight, model.encoder.trunk.project.weight)
