import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from cardiacnets.stages import loop
from cardiacnets.stages.loop import OptimisationConfig, Stopping, learning_rate, rows_of_step, run


def test_each_epoch_has_every_row_once_in_a_new_order():
    rows = np.arange(100, 112)

    steps = [rows_of_step(rows, 4, step, seed=1) for step in range(6)]

    for epoch in (steps[:3], steps[3:]):
        assert sorted(np.concatenate(epoch)) == rows.tolist()
    assert [step.tolist() for step in steps[:3]] != [step.tolist() for step in steps[3:]]


def test_fewer_rows_than_a_batch_are_one_batch():
    assert rows_of_step(np.arange(3), 8, step=5, seed=1).tolist() == [0, 1, 2]


def test_learning_rate_rises_and_then_falls_to_zero():
    config = OptimisationConfig(steps=100, learning_rate=1e-3, warm_up=0.1)

    rates = [learning_rate(step, config) for step in range(100)]

    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-6


ROWS = torch.randn(24, 5, generator=torch.Generator().manual_seed(8))


class Doubling(torch.nn.Module):
    """A tiny network with dropout; it learns to give back twice its input."""

    def __init__(self, dropout):
        super().__init__()
        self.blocks = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.Dropout(dropout)) for _ in range(2)
        )
        self.spare = torch.nn.Linear(5, 5)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return x


def train(out_dir, config, dropout=0.1, contrast=False, validate=dict, batch=8, stopping=None):
    """Train the tiny network; with `contrast` each row is distinguished from the others of its batch."""
    torch.manual_seed(9)
    model = Doubling(dropout)

    def loss_of(step, generator):
        x = ROWS[rows_of_step(np.arange(len(ROWS)), batch, step, config.seed)].to(loop.device())
        if contrast:
            query, key = (loop.of_all_processes(side) for side in (model(x), x))
            return torch.nn.functional.cross_entropy(query @ key.T, torch.arange(len(key)))
        noise = 0.1 * torch.randn(x.shape, generator=generator) if dropout else 0
        return (model(x + noise) - 2 * x).square().mean()

    return run("tiny", config, {"seed": config.seed}, model, loss_of, validate, out_dir, stopping)


def weights_of(path):
    return torch.load(path, weights_only=True)["model"]


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


class Killed(BaseException):
    """An exception that nothing catches, as nothing catches SIGKILL."""


def fail_at(monkeypatch, owner, name, call):
    """The call of this number kills the run before it does anything."""
    real, calls = getattr(owner, name), iter(range(1, 1000))

    def killed(*arguments, **options):
        if next(calls) == call:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, killed)


def tear_checkpoint(monkeypatch):
    def half(state, path):
        path.write_bytes(b"half a checkp")
        raise Killed

    monkeypatch.setattr(torch, "save", half)


def tear_log(monkeypatch):
    """The log ends in the middle of its second line."""
    log_of_run, calls = loop._write_scalars, iter(range(1, 1000))

    def torn(board, line, rate):
        log_of_run(board, line, rate)
        if next(calls) == 2:
            log = Path(board.log_dir) / "log.jsonl"
            log.write_text(log.read_text()[:-9])
            raise Killed

    monkeypatch.setattr(loop, "_write_scalars", torn)


KILLS = {
    "before the first checkpoint": lambda patch: fail_at(patch, loop, "learning_rate", 3),
    "between checkpoints": lambda patch: fail_at(patch, loop, "learning_rate", 13),
    "while it writes the first checkpoint": tear_checkpoint,
    "before a checkpoint that its log has": lambda patch: fail_at(patch, loop, "save", 2),
    "before it writes the model": lambda patch: fail_at(patch, loop, "save", 4),
    "while it writes the log": tear_log,
}


@pytest.mark.parametrize("kill", KILLS)
def test_run_killed_at_any_point_ends_like_an_uninterrupted_one(tmp_path, monkeypatch, kill):
    config = OptimisationConfig(steps=15, learning_rate=1e-2, save_every=5)
    unbroken = weights_of(train(tmp_path / "unbroken", config))
    KILLS[kill](monkeypatch)
    with pytest.raises(Killed):
        train(tmp_path / "killed", config)
    monkeypatch.undo()

    resumed = weights_of(train(tmp_path / "killed", config))

    assert all(torch.equal(value, resumed[name]) for name, value in unbroken.items())
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "unbroken")
    assert [line["step"] for line in log_of(tmp_path / "killed")] == [5, 10, 15]


def scalars(folder, tag):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # slow, and not for `spawn`

    board = EventAccumulator(str(folder)).Reload()
    return [(event.step, pytest.approx(event.value)) for event in board.Scalars(tag)]


def test_tensorboard_shows_the_log_once_even_after_a_kill(tmp_path, monkeypatch):
    config = OptimisationConfig(steps=15, learning_rate=1e-2, save_every=5)
    fail_at(monkeypatch, loop, "save", 2)
    with pytest.raises(Killed):
        train(tmp_path, config, validate=lambda: {"r": 0.5})
    monkeypatch.undo()

    train(tmp_path, config, validate=lambda: {"r": 0.5})

    assert scalars(tmp_path, "loss") == [(line["step"], line["loss"]) for line in log_of(tmp_path)]
    assert scalars(tmp_path, "validation/r") == [(5, 0.5), (10, 0.5), (15, 0.5)]
    assert scalars(tmp_path, "learning rate")[-1] == (15, learning_rate(14, config))


def test_finished_run_is_not_repeated(tmp_path):
    config = OptimisationConfig(steps=5, save_every=5)
    train(tmp_path, config)
    files = sorted(path.name for path in tmp_path.iterdir())

    train(tmp_path, config, validate=lambda: pytest.fail("validated again"))

    assert sorted(path.name for path in tmp_path.iterdir()) == files


@pytest.mark.parametrize("killed", [False, True])
def test_stops_without_a_better_validation_and_keeps_the_best_weights(tmp_path, monkeypatch, killed):
    config = OptimisationConfig(seed=3, steps=40, save_every=2)
    found = [1.0, 3.0, 2.0, 3.0, 2.5, 9.0]
    stopping = Stopping(lambda figures: figures["found"], patience=3)
    monkeypatch.setattr(loop, "learning_rate", lambda *_: 1e-3)
    best = torch.load(train(tmp_path / "best", replace(config, steps=4)), weights_only=True)["model"]

    def validate(until=0):
        if len(found) == until:
            raise KeyboardInterrupt
        return {"found": found.pop(0)}

    if killed:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "run", config, validate=lambda: validate(until=4), stopping=stopping)
    kept = torch.load(train(tmp_path / "run", config, validate=validate, stopping=stopping), weights_only=True)["model"]

    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["validation"]["found"] for line in log] == [1.0, 3.0, 2.0, 3.0, 2.5]
    for name, value in best.items():
        torch.testing.assert_close(kept[name], value)


def test_bfloat16_run_is_close_to_the_float32_run(tmp_path):
    plain = OptimisationConfig(steps=4, learning_rate=1e-2, save_every=4)

    train(tmp_path / "plain", plain)
    train(tmp_path / "bfloat16", replace(plain, bfloat16=True))

    (wanted,), (found,) = log_of(tmp_path / "plain"), log_of(tmp_path / "bfloat16")
    assert found["loss"] != wanted["loss"]
    assert found["loss"] == pytest.approx(wanted["loss"], rel=0.02)


@pytest.mark.paper  # half a minute
def test_compiled_run_gives_the_same_loss_and_weight_names(tmp_path):
    plain = OptimisationConfig(steps=4, learning_rate=1e-2, save_every=4)

    one = weights_of(train(tmp_path / "plain", plain, dropout=0.0))
    other = weights_of(train(tmp_path / "compiled", replace(plain, compile=True), dropout=0.0))

    assert log_of(tmp_path / "compiled")[0]["loss"] == pytest.approx(log_of(tmp_path / "plain")[0]["loss"], rel=1e-5)
    assert one.keys() == other.keys()


def test_accumulated_batches_are_one_large_batch(tmp_path):
    large = OptimisationConfig(steps=6, learning_rate=1e-2, save_every=6)

    one = weights_of(train(tmp_path / "large", large, dropout=0.0, batch=24))
    parts = weights_of(train(tmp_path / "parts", replace(large, accumulate=3), dropout=0.0, batch=8))

    assert all(torch.allclose(value, parts[name], atol=1e-6) for name, value in one.items())
    assert log_of(tmp_path / "parts")[0]["loss"] == pytest.approx(log_of(tmp_path / "large")[0]["loss"], abs=1e-6)


def test_safetensors_beside_the_model_have_the_same_weights_and_the_configuration(tmp_path):
    path = train(tmp_path, OptimisationConfig(steps=2, save_every=2))

    with safe_open(path.with_suffix(".safetensors"), "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        described = json.loads(file.metadata()["config"])

    assert described == {"seed": 1}
    wanted = weights_of(path)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())


def one_of_two(rank, port, out_dir, config):
    """What each of two processes runs, in the environment that `torchrun` gives."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    for contrast in (False, True):
        train(out_dir / str(contrast), config, dropout=0.0, contrast=contrast)


def test_two_processes_train_like_one(tmp_path):
    config = OptimisationConfig(steps=12, learning_rate=1e-2, save_every=4, accumulate=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    # Both processes are forked from one that has imported torch.
    torch.multiprocessing.set_forkserver_preload(["torch", one_of_two.__module__])
    torch.multiprocessing.start_processes(
        one_of_two, (port, tmp_path / "two", config), nprocs=2, start_method="forkserver"
    )

    for contrast in (False, True):
        one, two = tmp_path / "one" / str(contrast), tmp_path / "two" / str(contrast)
        wanted = weights_of(train(one, config, dropout=0.0, contrast=contrast))
        found = weights_of(two / "model.pt")
        for ours, theirs in zip(log_of(one), log_of(two), strict=True):
            assert theirs["loss"] == pytest.approx(ours["loss"], abs=1e-5)
        assert all(torch.allclose(value, found[name], atol=1e-5) for name, value in wanted.items())


def test_processes_share_a_batch(monkeypatch):
    whole = rows_of_step(np.arange(24), 8, step=4, seed=1)
    monkeypatch.setenv("WORLD_SIZE", "4")

    parts = []
    for rank in "0123":
        monkeypatch.setenv("RANK", rank)
        parts.append(rows_of_step(np.arange(24), 8, step=4, seed=1))

    assert [len(part) for part in parts] == [2, 2, 2, 2]
    assert sorted(np.concatenate(parts)) == whole.tolist()
    with pytest.raises(ValueError, match="too few"):
        rows_of_step(np.arange(3), 8, step=0, seed=1)
