"""The loop of a resumable training run: schedule, checkpoints, log, progress bar."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True)
class OptimisationConfig:
    """AdamW under a cosine."""

    seed: int = 1
    steps: int = 4000
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    """Share of the steps in which the learning rate rises; then it falls as a cosine to zero."""
    weight_decay: float = 0.05
    clip: float = 1.0
    """Largest norm of the gradient."""
    bfloat16: bool = False
    save_every: int = 200


def generator_of(*key: int) -> torch.Generator:
    """A generator that depends on nothing but `key`, so that a resumed run draws what an unbroken one would."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))


def rows_of_step(rows: np.ndarray, batch: int, step: int, seed: int) -> np.ndarray:
    """Row numbers of one step, rising: whole epochs of shuffled rows. What does not fill a batch sits its epoch out."""
    batch = min(batch, len(rows))
    epoch, place = divmod(step, len(rows) // batch)
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return np.sort(order[place * batch : (place + 1) * batch])


def learning_rate(step: int, config: OptimisationConfig) -> float:
    """Linear rise, then a cosine to zero."""
    rising = max(1, round(config.warm_up * config.steps))
    if step < rising:
        return config.learning_rate * (step + 1) / rising
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, config.steps - rising)))


def save(path: Path, state: dict[str, Any]) -> None:
    """Write whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _optimiser(model: nn.Module, config: OptimisationConfig) -> torch.optim.AdamW:
    """Weights decay; biases, norms, position tables and tokens do not."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    decays = {name for name, parameter in named if name.endswith("weight") and parameter.dim() > 1}
    groups = [
        {"params": [p for name, p in named if name in decays], "weight_decay": config.weight_decay},
        {"params": [p for name, p in named if name not in decays], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _keep_log(log: Path, step: int) -> None:
    """Drop the lines that a killed run wrote after its last checkpoint."""
    if log.exists():
        lines = [line for line in log.read_text().splitlines(keepends=True) if json.loads(line)["step"] <= step]
        log.write_text("".join(lines))


def run(
    name: str,
    config: OptimisationConfig,
    described: dict[str, Any],
    model: nn.Module,
    loss_of: Callable[[int, torch.Generator], Tensor],
    validate: Callable[[], dict[str, float]],
    out_dir: Path,
) -> Path:
    """Train `model`, or go on from `out_dir/checkpoint.pt`; returns `out_dir/model.pt`: {config, model}.

    `loss_of(step, generator)` is the loss of one batch, `validate()` the figures of the model as it stands; both see
    it in the right mode. `described` is the whole configuration as plain JSON. `out_dir/log.jsonl` has a line each
    `save_every` steps. Deterministic by seed on one machine and thread count.

    Raises:
        ValueError: the checkpoint was made with another configuration.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint, finished, log = (out_dir / file for file in ("checkpoint.pt", "model.pt", "log.jsonl"))
    (out_dir / "config.json").write_text(json.dumps(described, indent=1) + "\n")
    optimiser = _optimiser(model, config)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["config"] != described:
            raise ValueError(f"{checkpoint} was made with another configuration")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["step"]
    _keep_log(log, first)

    losses: list[float] = []
    for step in tqdm(range(first, config.steps), initial=first, total=config.steps, desc=name, disable=None):
        model.train()
        torch.manual_seed(config.seed * 1_000_003 + step)  # dropout
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            loss = loss_of(step, generator_of(config.seed, step))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, config)
        optimiser.step()
        losses.append(loss.item())
        done = step + 1
        if done % config.save_every == 0 or done == config.steps:
            model.eval()
            with torch.no_grad():
                line = {"step": done, "loss": float(np.mean(losses)), "validation": validate()}
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            losses = []
            weights = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            save(checkpoint, {"config": described, "step": done, **weights})
    save(finished, {"config": described, "model": model.state_dict()})
    return finished
