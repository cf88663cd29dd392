import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.domain import CONDITIONS, INDICES
from cardiacnets.models.encoder import Trunk
from cardiacnets.models.screen import Screen
from cardiacnets.stages import screening
from cardiacnets.stages.loop import OptimisationConfig
from cardiacnets.stages.screening import (
    TrainingModel,
    balanced_chances,
    drawn_rows,
    isolated_excess,
    labelled_rows,
    load_trained,
    losses,
    make_batch,
    train_screening,
    validate,
)

from .conftest import TINY, tiny_config


def weights(path):
    return torch.load(path, weights_only=True)["model"]


def test_tiny_run_learns_its_targets(training_data, tmp_path):
    model = train_screening(tiny_config(steps=120), training_data, tmp_path)

    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    figures = validate(load_trained(model)[0], training_data)
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert figures["cad"] > 0.9
    assert figures["hf"] > 0.9


def test_killed_run_resumes_to_the_same_weights(training_data, tmp_path, monkeypatch):
    unbroken = weights(train_screening(tiny_config(), training_data, tmp_path / "unbroken"))
    killed_at, losses = 17, screening.losses

    def killed(model, batch, config, generator, calls=iter(range(killed_at))):  # noqa: B008
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return losses(model, batch, config, generator)

    monkeypatch.setattr(screening, "losses", killed)
    with pytest.raises(KeyboardInterrupt):
        train_screening(tiny_config(), training_data, tmp_path / "killed")
    monkeypatch.setattr(screening, "losses", losses)
    resumed = weights(train_screening(tiny_config(), training_data, tmp_path / "killed"))

    for name, value in unbroken.items():
        assert torch.equal(value, resumed[name]), name


def test_a_checkpoint_of_another_configuration_is_refused(training_data, tmp_path):
    train_screening(tiny_config(steps=10), training_data, tmp_path)

    with pytest.raises(ValueError, match="another configuration"):
        train_screening(tiny_config(steps=20), training_data, tmp_path)


def test_the_cad_target_never_comes_from_a_virtual_person(training_data):
    batch = make_batch(training_data, np.arange(5), np.arange(7))

    cad = batch.conditions[:, CONDITIONS.index("cad")]
    assert not cad[:5].isnan().any()
    assert cad[5:].isnan().all()
    assert batch.conditions[:5, 1:].isnan().all()
    assert batch.indices[:5].isnan().all()


def test_no_validation_or_test_person_is_used_in_training(training_data, tmp_path, monkeypatch):
    seen_real, seen_virtual, gather = set(), set(), screening.make_batch

    def watched(data, real_rows, virtual_rows, **options):
        seen_real.update(real_rows)
        seen_virtual.update(virtual_rows)
        return gather(data, real_rows, virtual_rows, **options)

    monkeypatch.setattr(screening, "make_batch", watched)

    train_screening(tiny_config(), training_data, tmp_path)

    assert set(training_data.real.fold[list(seen_real)]) == set(range(1, 8))
    assert set(training_data.virtual.split[list(seen_virtual)]) == {"train"}


def test_frozen_trunk_is_unchanged(training_data, tmp_path):
    torch.manual_seed(4)
    trunk = Trunk(TINY)

    model, _ = load_trained(train_screening(tiny_config(is_frozen=True), training_data, tmp_path, trunk))

    for name, value in trunk.state_dict().items():
        assert torch.equal(value, model.encoder.trunk.state_dict()[name]), name


def test_whole_network_continues_with_its_heads_and_their_units(training_data, tmp_path):
    torch.manual_seed(5)
    start = Screen(TINY)
    start.function_head.standardise(torch.randn(40, len(INDICES)) * 7 + 50)
    step = OptimisationConfig(steps=1, save_every=1, learning_rate=1e-9)
    small = replace(tiny_config(), optimisation=step)

    model, _ = load_trained(train_screening(small, training_data, tmp_path, start))

    assert torch.equal(model.function_head.middle, start.function_head.middle)
    assert torch.equal(model.function_head.spread, start.function_head.spread)
    for name, value in start.screening_head.state_dict().items():
        assert torch.allclose(model.screening_head.state_dict()[name], value, atol=1e-6), name


def test_larger_fraction_contains_the_smaller_one():
    split = np.repeat(["train", "val", "test"], [700, 100, 200])

    few, more = (labelled_rows(split, fraction, seed=5) for fraction in (0.01, 0.1))

    assert (len(few), len(more)) == (7, 70)
    assert set(few) < set(more)


def test_the_heads_learn_in_float32_under_autocast(training_data):
    torch.manual_seed(0)
    model = TrainingModel(tiny_config(), 3)
    batch = make_batch(training_data, np.arange(8), np.arange(8))

    with torch.autocast("cpu", torch.bfloat16):
        parts = losses(model, batch, tiny_config(), torch.Generator().manual_seed(1))

    assert {value.dtype for value in parts.values()} == {torch.float32}
    assert all(value.isfinite() for value in parts.values())


def test_teacher_sets_heart_failure_targets_and_virtual_people_an_auxiliary_task(training_data):
    real = replace(training_data.real, teacher=np.linspace(-6, 3, 90, dtype=np.float32))
    data = replace(training_data, real=real)
    hf = CONDITIONS.index("hf")

    batch = make_batch(data, np.arange(5), np.arange(7))

    assert batch.conditions[:, hf].isnan().all()
    assert not batch.teacher[:5].isnan().any()
    assert batch.teacher[5:].isnan().all()
    assert batch.virtual_hf[:5].isnan().all()
    assert not batch.virtual_hf[5:].isnan().any()


def test_head_learns_the_teachers_output(training_data, tmp_path):
    upright = training_data.real.cad
    teacher = np.where(upright, 2.0, -6.0).astype(np.float32)
    data = replace(training_data, real=replace(training_data.real, teacher=teacher))

    figures = validate(load_trained(train_screening(tiny_config(steps=120), data, tmp_path))[0], data)

    assert figures["hfTeacherR"] > 0.8


def test_isolated_and_normal_ecgs_are_sampled_together_without_the_other_real_ones():
    logits = torch.tensor([[0.0], [0.2], [3.0], [5.0]], requires_grad=True)
    normal = torch.tensor([True, True, False, False])
    isolated = torch.tensor([[0.0], [0.0], [1.0], [0.0]])

    loss = isolated_excess(logits, normal, isolated)
    loss.backward()

    assert loss > 0
    assert logits.grad[2] > 0
    assert (logits.grad[:2] < 0).all()
    assert logits.grad.sum().abs() < 1e-6
    assert logits.grad[3] == 0
    assert isolated_excess(logits, normal, 3 * isolated).item() == pytest.approx(3 * loss.item(), abs=1e-6)


def test_averaged_weights_are_loaded(training_data, tmp_path):
    path = train_screening(tiny_config(steps=20, average=0.9), training_data, tmp_path)

    read, _ = load_trained(path)

    state = weights(path)
    for name, value in read.state_dict().items():
        assert torch.equal(value, state[f"average.{name}"]), name
    assert not torch.equal(
        state["average.screening_head.layers.1.weight"], state["screen.screening_head.layers.1.weight"]
    )


def test_the_weight_of_isolated_blocks_changes_at_its_step():
    config = tiny_config(isolated_weight=0.06, isolated_later=0.01, isolated_until=5)

    assert [screening.at_step(config, step).isolated_weight for step in (0, 4, 5)] == [0.06, 0.06, 0.01]
    assert screening.at_step(tiny_config(isolated_weight=0.06), 9).isolated_weight == 0.06


def test_the_mean_of_two_networks_lies_between_them():
    torch.manual_seed(1)
    first, second = Screen(TINY), Screen(TINY)

    mean = screening.mixed(first, second, 0.25)

    name = next(key for key in first.state_dict() if key.endswith("weight"))
    expected = 0.75 * first.state_dict()[name] + 0.25 * second.state_dict()[name]
    assert torch.allclose(mean.state_dict()[name], expected, atol=1e-6)


def test_balanced_chances_draw_rare_labels_as_often_as_frequent_ones():
    rng = np.random.default_rng(6)
    conditions = np.full((400, 5), np.nan)
    conditions[:, 0] = rng.random(400) < 0.05
    chances = balanced_chances(conditions)

    drawn = np.concatenate([drawn_rows(np.arange(400), chances, 64, step, seed=1) for step in range(50)])

    assert chances.sum() == pytest.approx(1)
    assert np.mean(conditions[drawn, 0]) == pytest.approx(0.5, abs=0.03)
    assert len(set(drawn)) > 380  # hardly anybody is left out


def test_balanced_chances_of_several_conditions_favour_each_and_leave_nobody_out():
    conditions = np.zeros((100, 5))
    conditions[:4, 1] = conditions[4:8, 3] = 1
    conditions[50:60] = np.nan

    chances = balanced_chances(conditions)

    assert chances[:8].min() > 3 * chances[8:50].max()
    assert chances.min() > 0


def test_how_hard_a_kind_is_held_comes_from_the_configuration(training_data):
    harder = {"RBBB": {"ph": 2.0}}
    kind = np.full(len(training_data.real.fold), "RBBB")
    data = replace(training_data, real=replace(training_data.real, kind=kind))
    rows = np.arange(2)
    usual, held = (make_batch(data, rows, rows[:0], **given).isolated for given in ({}, {"held": harder}))
    column = screening.STRUCTURAL.index(screening.CONDITIONS.index("ph"))
    assert usual[:, column].tolist() == pytest.approx([0.8, 0.8])
    assert held[:, column].tolist() == [2.0, 2.0]
