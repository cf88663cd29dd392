import argparse
from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiacnets.data.real import NORMAL, RealSet
from cardiacnets.data.virtual import VirtualSet
from cardiacnets.domain import BLOCKS, CONDITIONS, INDICES
from cardiacnets.evaluation.blocks import Features, Seen, alarms, described, embeddings, readings, share_of
from cardiacnets.evaluation.candidates import Answers, Blocks, answers_of
from cardiacnets.models.screen import Screen

from .conftest import TINY, bumps

RATES = dict.fromkeys(CONDITIONS, 0.05)


def some_ecgs(rng, n, fold):
    """ECGs of one fold, a third of them with CAD, the others normal or with nothing but a finding."""
    cad = rng.random(n) < 0.3
    unknown = np.full(n, np.nan, dtype=np.float32)
    kind = np.where(cad, "", rng.choice([NORMAL] * 6 + ["RBBB", "LBBB"], n))
    return RealSet(
        millivolt=bumps(rng, n, cad),
        conditions=np.stack([cad, *[np.full(n, np.nan)] * 4], axis=1).astype(np.float32),
        statements=np.zeros((n, 1), dtype=bool),
        person=np.stack([rng.integers(0, 2, n), rng.uniform(30, 90, n), unknown, unknown], axis=1).astype(np.float32),
        fold=np.full(n, fold),
        teacher=rng.normal(-2, 1, n).astype(np.float32),
        kind=kind,
        blocks=np.stack([kind == "RBBB", kind == "LBBB"], axis=1),
    )


def answers(rng, n, shift):
    """Logits about -2, `shift` [n,5] higher; the first two pooled tokens say which block an ECG shows."""
    pooled = rng.normal(0, 0.1, (n, 8))
    return Answers(rng.normal(-2, 1, (n, 5)) + shift, np.zeros((n, 1)), np.zeros((n, 1)), pooled)


def of_ecgs(rng, ecgs):
    """A network that takes RBBB for PH and LBBB for CM."""
    shift = np.zeros((len(ecgs.kind), 5))
    shift[ecgs.kind == "RBBB", CONDITIONS.index("ph")] = 4
    shift[ecgs.kind == "LBBB", CONDITIONS.index("cm")] = 4
    made = answers(rng, len(ecgs.kind), shift)
    made.pooled[:, : len(BLOCKS)] += 3 * ecgs.blocks
    return made


class KnownBlocks(Blocks):
    """Read off the first two tokens, without a network."""

    def __init__(self, learned, known):
        shown = self.shown(known.pooled)
        alone = {"rbbb": (learned.kind == "RBBB") & shown[:, 0], "lbbb": (learned.kind == "LBBB") & shown[:, 1]}
        self.alone = {block: known.rows(rows) for block, rows in alone.items()}

    def shown(self, pooled):
        return pooled[:, : len(BLOCKS)] > 1.5


def test_readings_are_of_folds_that_nothing_was_fitted_on():
    rng = np.random.default_rng(0)
    learned, real = some_ecgs(rng, 2000, 1), some_ecgs(rng, 1000, 8)

    def tokens(stated):
        made = rng.normal(0, 1, (len(stated), 20))
        made[:, :2] += 6 * stated
        return made

    features = Features(tokens(learned.blocks), tokens(real.blocks), tokens(np.zeros((300, 2), dtype=bool)))

    read, more = readings(features, learned, real), readings(features, learned, real, 0.99)

    assert [one.block for one in read] == list(BLOCKS)
    for one, other in zip(read, more, strict=True):
        assert one.auroc > 0.98
        assert 0.9 <= one.found <= 0.93
        assert one.alone > 0.8
        assert one.others < 0.01
        assert one.virtual < 0.01
        assert other.found > 0.98
        assert (other.others, other.virtual) >= (one.others, one.virtual)


def test_limits_flag_their_rate_of_normal_ecgs_and_a_block_raises_them():
    rng = np.random.default_rng(1)
    learned, real = some_ecgs(rng, 6000, 1), some_ecgs(rng, 2000, 8)
    sick = rng.random((900, 5)) < 0.3
    unknown = np.full((900, 4), np.nan, dtype=np.float32)
    people = VirtualSet(np.zeros((900, 12, 1)), np.zeros((900, 1)), sick, unknown, np.full(900, "val"))
    known = of_ecgs(rng, learned)
    on_virtual = answers(rng, 900, 3 * sick)
    on_virtual.pooled[:300, 0] += 3
    seen = Seen(of_ecgs(rng, real), answers(rng, int((real.kind == NORMAL).sum()), 0), known, on_virtual, people)

    flagged = alarms(seen, KnownBlocks(learned, known), real, learned, RATES)

    assert flagged.validated.shape == ((real.kind == NORMAL).sum(), 5)
    others = [index for index, name in enumerate(CONDITIONS) if name != "hf"]  # whose limit has a floor
    np.testing.assert_allclose(flagged.validated.mean(axis=0)[others], 0.05, atol=0.02)
    np.testing.assert_allclose(flagged.learned.mean(axis=0)[others], 0.05, atol=0.02)
    for block, most in (("rbbb", 0.2), ("lbbb", 0.35)):
        without, with_limit = flagged.alone[block]
        assert with_limit < most < without
    assert flagged.found["ph"] < flagged.without["ph"]
    assert flagged.found["pericarditis"] == flagged.without["pericarditis"]
    printed = described({"pooled tokens": []}, flagged, RATES)
    assert "| anything |" in printed
    assert "RBBB alone" in printed


def test_limits_of_a_part_are_set_on_the_others():
    rng = np.random.default_rng(2)
    real = some_ecgs(rng, 2000, 8)
    person = np.full((50, 4), np.nan, dtype=np.float32)
    people = VirtualSet(np.zeros((50, 12, 1)), np.zeros((50, 1)), np.ones((50, 5), bool), person, np.full(50, "val"))
    on_real = of_ecgs(rng, real)
    withheld = answers(rng, int((real.kind == NORMAL).sum()), 0)
    seen = Seen(on_real, withheld, on_real, answers(rng, 50, 0), people)

    flagged = alarms(seen, KnownBlocks(real, on_real), real, real, RATES)

    assert flagged.learned[:, CONDITIONS.index("cad")].mean() <= 0.05  # by construction, on those that set the limit
    assert (flagged.validated != flagged.learned).any()


def test_embeddings_are_those_of_the_heads():
    rng = np.random.default_rng(3)
    ecgs = some_ecgs(rng, 5, 8)
    torch.manual_seed(0)
    screen = Screen(TINY)

    found = answers_of(screen, ecgs.millivolt, ecgs.person)
    embedding = embeddings(screen, found.pooled, ecgs.person)

    assert embedding.shape == (5, TINY.embedding)
    assert (embedding >= 0).all()
    other = replace(ecgs, person=ecgs.person + np.float32(20))
    assert not np.array_equal(embedding, embeddings(screen, found.pooled, other.person))
    assert len(INDICES) == found.mean.shape[1]


def test_a_rate_names_a_condition_and_a_share():
    assert share_of("ph=0.035") == ("ph", 0.035)
    for wrong in ("ph", "ph=2", "ph=x", "stroke=0.1"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"as in ph=0\.035"):
            share_of(wrong)
