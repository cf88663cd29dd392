"""The loop of a resumable training run, on one processor or many: schedule, checkpoints, log, progress bar.

Under `torchrun` every process runs the same stage: each trains on its part of a batch (`rows_of_step`), gradients are
averaged, and the first process alone writes.
"""

import atexit
import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cardiacnets.device import device, generator_of, process

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TICKS = 10_000
"""Into which a time limit is divided."""
PATIENCE = timedelta(days=7)
"""How long a process waits for others: the first one reads a whole cohort before the rest go on."""


@dataclass(frozen=True)
class OptimisationConfig:
    """AdamW under a cosine."""

    seed: int = 1
    steps: int = 4000
    seconds: float | None = None
    """Train for so long by the clock, at most `steps`; the learning rate then falls with the time that is left. Such a
    run is not deterministic, and has one process."""
    learning_rate: float = 1e-3
    warm_up: float = 0.05
    """Share of the steps in which the learning rate rises; then it falls as a cosine to zero."""
    weight_decay: float = 0.05
    accumulate: int = 1
    """Batches whose gradients make one step: a batch as many times as large, where memory holds no more. For InfoNCE
    it adds no negatives, since rows are compared within a batch only."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    bfloat16: bool = False
    compile: bool = False
    """Compile the members of each `nn.ModuleList`, which is where a transformer keeps its blocks: they are alike, so
    that one compilation serves all. Needs a C++ compiler; pays on a GPU."""
    save_every: int = 200


@dataclass(frozen=True)
class Stopping:
    """Keep the weights of the best validation, and stop once there is no better one."""

    score: Callable[[Mapping[str, float]], float]
    """Of what `validate` returns; larger is better."""
    patience: int
    """Validations in a row without a better one after which training stops."""


class _OfAllProcesses(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, rows: Tensor) -> Tensor:  # noqa: ANN401
        parts = [torch.empty_like(rows) for _ in range(process()[1])]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        rank, processes = process()
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(processes)[rank]


def of_all_processes(rows: Tensor) -> Tensor:
    """Rows [N,…] of every process, one process after the other: [processes·N,…], differentiable.

    For a loss that compares rows with each other, as InfoNCE does. Every process must call it. With one process it
    returns its argument.
    """
    return _OfAllProcesses.apply(rows) if process()[1] > 1 else rows


def rows_of_step(rows: np.ndarray, batch: int, step: int, seed: int) -> np.ndarray:
    """Row numbers of one step, rising: whole epochs of shuffled rows. What does not fill a batch sits its epoch out.

    Of several processes each gets its equal part; a batch that does not divide is made smaller.

    Raises:
        ValueError: there are fewer rows than processes.
    """
    rank, processes = process()
    batch = min(batch, len(rows)) // processes * processes
    if batch == 0:
        raise ValueError(f"{len(rows)} rows are too few for a batch of {processes} processes")
    epoch, place = divmod(step, len(rows) // batch)
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return np.sort(order[place * batch : (place + 1) * batch][rank::processes])


def digest_of(network: nn.Module, *others: object) -> str:
    """Twelve hex digits of a network's weights and of whatever else decides what it makes, for that file's name."""
    digest = hashlib.sha256(repr(others).encode())
    for value in network.state_dict().values():
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:12]


def learning_rate(step: int, config: OptimisationConfig) -> float:
    """Linear rise, then a cosine to zero."""
    rising = max(1, round(config.warm_up * config.steps))
    if step < rising:
        return config.learning_rate * (step + 1) / rising
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, config.steps - rising)))


def learning_rate_at(used: float, config: OptimisationConfig) -> float:
    """`learning_rate` of a run with a limit of `config.seconds`, of which `used` are gone."""
    return learning_rate(round(min(used / (config.seconds or 1), 1) * TICKS), replace(config, steps=TICKS))


def save(path: Path, state: dict[str, Any]) -> None:
    """Write whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def save_model(path: Path, described: dict[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Write a finished stage: `path` ({config, model}), and the same beside it as `.safetensors`.

    Stages read the first. The second is for everybody else: it has the configuration as JSON under `config`, and no
    reader of it runs code.
    """
    save(path, {"config": described, "model": dict(weights)})
    part = path.with_suffix(".safetensors.part")
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    save_file(plain, part, metadata={"config": json.dumps(described)})
    part.replace(path.with_suffix(".safetensors"))


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
    """Drop what a killed run wrote after its last checkpoint: whole lines, and a torn one."""
    if log.exists():
        whole = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        part = log.with_suffix(".part")
        part.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))
        part.replace(log)


def join_processes() -> None:
    """Meet the other processes, once."""
    where = device()
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if process()[1] > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo", timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)


@contextmanager
def first_process_first() -> Iterator[None]:
    """The first process runs the block alone; the others then run it too, and find on disk what the first made.

    Every process must come here, and no stage may train within.
    """
    rank, processes = process()
    if processes > 1:
        join_processes()
    if rank:
        dist.barrier()
    yield
    if processes > 1 and rank == 0:
        dist.barrier()


class _Step(nn.Module):
    """`loss_of` as a module's forward: DistributedDataParallel averages the gradients of what it calls itself."""

    def __init__(self, model: nn.Module, loss_of: Callable[[int, torch.Generator], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss_of = loss_of

    def forward(self, step: int, generator: torch.Generator) -> Tensor:
        """The loss of this process's part of the batch."""
        return self.loss_of(step, generator)


def _mean_of_all(losses: list[Tensor], where: torch.device) -> float:
    """Mean over steps and processes."""
    # A GPU has float64, and it must not be asked for a value in each step: that would wait for it.
    mean = torch.stack(losses).to(where, torch.float64).mean()
    if process()[1] > 1:
        dist.all_reduce(mean)
    return mean.item() / process()[1]


def _write_scalars(board: "SummaryWriter", line: dict[str, Any], rate: float) -> None:
    """One line of the log as TensorBoard's scalars; its own thread writes them."""
    board.add_scalar("loss", line["loss"], line["step"])
    board.add_scalar("learning rate", rate, line["step"])
    for name, value in line["validation"].items():
        board.add_scalar(f"validation/{name}", value, line["step"])


def _resume(
    checkpoint: Path, described: dict[str, Any], model: nn.Module, optimiser: torch.optim.AdamW, best: "_Best"
) -> tuple[int, float]:
    """Load the checkpoint, if there is one, into the rest; returns its steps, and the seconds they took."""
    if not checkpoint.exists():
        return 0, 0.0
    state = torch.load(checkpoint, map_location=device(), weights_only=True)
    if state["config"] != described:
        raise ValueError(f"{checkpoint} was made with another configuration")
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    best.found = state.get("best")
    return int(state["step"]), float(state.get("seconds", 0.0))


class _Best:
    """The best validation so far; without a rule when to stop there is none, and nothing is over."""

    found: dict[str, Any] | None = None
    """{step, score, model}."""

    def __init__(self, stopping: Stopping | None, every: int) -> None:
        """`every`: steps between validations."""
        self.stopping, self.every = stopping, every

    def see(self, step: int, figures: Mapping[str, float], model: nn.Module) -> None:
        """Keep the weights if a validation is better than all before."""
        if self.stopping is None:
            return
        score = self.stopping.score(figures)
        if self.found is None or score > self.found["score"]:
            self.found = {"step": step, "score": score, "model": copy.deepcopy(model.state_dict())}

    def is_over(self, step: int) -> bool:
        """Whether the best validation is as long ago as the rule allows."""
        if self.stopping is None or self.found is None:
            return False
        return bool(step - self.found["step"] >= self.stopping.patience * self.every)

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {} if self.found is None else {"best": self.found}

    def restore(self, model: nn.Module) -> None:
        """Give the model the weights that were kept, if any were."""
        if self.found is not None:
            model.load_state_dict(self.found["model"])


def _open_logs(
    out_dir: Path, described: dict[str, Any], first: int, config: OptimisationConfig
) -> "SummaryWriter | None":
    """Write the configuration, shorten the log to the checkpoint, and open TensorBoard's file if a step is left."""
    (out_dir / "config.json").write_text(json.dumps(described, indent=1) + "\n")
    _keep_log(out_dir / "log.jsonl", first)
    if first >= config.steps:
        return None
    from torch.utils.tensorboard import SummaryWriter  # seconds to import

    return SummaryWriter(str(out_dir), purge_step=first + 1)


def _add_gradients(
    loss_of_batch: nn.Module, step: int, config: OptimisationConfig, where: torch.device
) -> list[Tensor]:
    """Forward and backward of every batch of a step; returns their losses."""
    losses, rank = [], process()[0]
    for batch in range(step * config.accumulate, (step + 1) * config.accumulate):
        torch.manual_seed(config.seed * 1_000_003 + batch + rank * 1_000_000_007)  # dropout
        is_last = batch + 1 == (step + 1) * config.accumulate
        with nullcontext() if is_last else _not_shared(loss_of_batch):
            with torch.autocast(where.type, torch.bfloat16, enabled=config.bfloat16):
                loss = loss_of_batch(batch, generator_of(config.seed, batch, rank))
            (loss / config.accumulate).backward()
        losses.append(loss.detach())
    return losses


def _not_shared(module: nn.Module) -> AbstractContextManager[None]:
    """Gradients stay with each process until the last batch of a step."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def _compile_blocks(model: nn.Module) -> None:
    """Compile each member of each `nn.ModuleList`."""
    for blocks in [module for module in model.modules() if isinstance(module, nn.ModuleList)]:
        for block in blocks:
            block.compile()


def run(
    name: str,
    config: OptimisationConfig,
    described: dict[str, Any],
    model: nn.Module,
    loss_of: Callable[[int, torch.Generator], Tensor],
    validate: Callable[[], dict[str, float]],
    out_dir: Path,
    stopping: Stopping | None = None,
) -> Path:
    """Train `model`, or go on from `out_dir/checkpoint.pt`; returns `out_dir/model.pt` (see `save_model`).

    `loss_of(batch, generator)` is the mean loss of one batch, the `batch`-th; a step takes `config.accumulate` of them.
    `validate()` returns figures of the current model. The loop moves the model to `device()`. It sets training mode for
    `loss_of` and evaluation mode for `validate`.
    `described` is the whole configuration as plain JSON. `out_dir/log.jsonl` and TensorBoard's files beside it have a
    line each `save_every` steps. Deterministic by seed on one machine, thread count and number of processes, killed or
    not. With `stopping`, the weights are those of the best line. The model comes back on the CPU.

    Raises:
        ValueError: the checkpoint was made with another configuration, or several processes have a limit of time or
            a rule when to stop.
    """
    where, (rank, processes) = device(), process()
    if processes > 1 and (config.seconds is not None or stopping is not None):
        raise ValueError("a limit of time or a rule when to stop is for one process: give a number of steps")
    join_processes()
    model.to(where)
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint, log = out_dir / "checkpoint.pt", out_dir / "log.jsonl"
    optimiser = _optimiser(model, config)
    best = _Best(stopping, config.save_every)
    first, used_before = _resume(checkpoint, described, model, optimiser, best)
    board = _open_logs(out_dir, described, first, config) if rank == 0 else None
    if config.compile:
        _compile_blocks(model)
    loss_of_step: nn.Module = _Step(model, loss_of)
    if processes > 1:
        # Masked modelling leaves the encoder's last layers without a gradient.
        loss_of_step = DistributedDataParallel(loss_of_step, find_unused_parameters=True)
    losses: list[Tensor] = []
    limit, start = math.inf if config.seconds is None else config.seconds, monotonic() - used_before
    steps = range(first, first if used_before >= limit or best.is_over(first) else config.steps)
    for step in tqdm(steps, initial=first, total=config.steps, desc=name, disable=True if rank else None):
        model.train()
        optimiser.zero_grad(set_to_none=True)
        losses += _add_gradients(loss_of_step, step, config, where)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        used = monotonic() - start
        rate = learning_rate(step, config) if config.seconds is None else learning_rate_at(used, config)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        done = step + 1
        is_last = done == config.steps or monotonic() - start >= limit
        if done % config.save_every == 0 or is_last:
            model.eval()
            with torch.no_grad():
                figures = validate()
                line = {"step": done, "loss": _mean_of_all(losses, where), "validation": figures}
            losses = []
            best.see(done, figures, model)
            is_last = is_last or best.is_over(done)
            if board is not None:
                with log.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                _write_scalars(board, line, rate)
                weights = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
                clock = {} if config.seconds is None else {"seconds": monotonic() - start}
                save(checkpoint, {"config": described, "step": done, **clock, **weights, **best.state()})
        if is_last:
            break
    best.restore(model)
    if board is not None:
        board.close()
    return _finish(out_dir / "model.pt", described, model)


def _finish(path: Path, described: dict[str, Any], model: nn.Module) -> Path:
    """The model to the CPU, and the first process's to `path`."""
    rank, processes = process()
    model.cpu()
    if rank == 0:
        save_model(path, described, model.state_dict())
    if processes > 1:
        dist.barrier()  # the next stage reads what the first process wrote
    return path
