"""Configurations that a file changes: what it may say, and what is said of what it may not."""

from dataclasses import replace

import pytest

from cardiacnets.configuration import ConfigurationError
from cardiacnets.models.denoiser import DENOISER_PAPER
from cardiacnets.models.ecg_vit import EcgVitConfig
from cardiacnets.models.vae import VAE_PAPER
from cardiacnets.programme import Programme, read_programme, rehearsal


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return str(path)

    return write


def test_paper_file_has_the_paper_s_sizes():
    paper = read_programme("paper")

    assert paper.screening.encoder == EcgVitConfig()
    assert (paper.trunk_hz, paper.distils) == (500, False)
    assert {config.mim.swin.units for config in paper.cmr.views.values()} == {49}
    assert paper.diffusion.denoiser == DENOISER_PAPER
    assert paper.vae.vae == VAE_PAPER
    assert paper.cmr.views["four_chamber"] == replace(paper.cmr.views["short_axis"], crop=96)


def test_compact_is_what_no_file_changes(written):
    assert read_programme("compact") == read_programme(written("")) == Programme()


def test_a_file_changes_what_it_names_and_nothing_else(written):
    changed = read_programme(written("[align]\nbatch = 12\n[align.optimisation]\nsteps = 7"))

    default = Programme()
    align = replace(default.align, batch=12, optimisation=replace(default.align.optimisation, steps=7))
    assert changed == replace(default, align=align)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[align]\nbatches = 12", "align.batches is unknown; align has batch, "),
        ("[align]\nbatch = 'many'", "align.batch = 'many': .* is not an instance of int"),
        ("align = 3", "align = 3"),
        ("people = { all = true }", "people is a value, not a table"),
        (
            "[cmr.views.two_chamber]\ncrop = 80",
            "cmr.views.two_chamber is unknown; cmr.views has short_axis, four_chamber",
        ),
        ("[align.encoder]\nkind = 'Resnet'", "align.encoder.kind = 'Resnet' is none of EncoderConfig, EcgVitConfig"),
        ("[align.encoder]\nkind = 'EcgVitConfig'", "align.encoder and screening.encoder differ"),
        ("default_sampler = 'few'", "default_sampler = 'few'"),
        (
            "default_sampler = 'distilled'\n[diffusion.schedule]\nzero_terminal_snr = false\nprediction = 'epsilon'",
            "default_sampler is distilled, but a denoiser that predicts ε has no student",
        ),
        ("[vae]\nframes = 50", "diffusion.denoiser.frames is 16, but what it gets has 50"),
        ("[align", "is not TOML: "),
    ],
)
def test_a_mistake_is_named_by_its_place(written, text, message):
    with pytest.raises(ConfigurationError, match=message):
        read_programme(written(text))


def test_a_configuration_that_is_neither_known_nor_a_file_is_refused():
    with pytest.raises(ConfigurationError, match="'large' is none of compact, paper"):
        read_programme("large")
    with pytest.raises(ConfigurationError, match="No such file"):
        read_programme("/nowhere/mine.toml")


def test_rehearsal_keeps_sizes_and_takes_two_steps():
    paper = read_programme("paper")

    short = rehearsal(paper, 20)

    assert short.own == 20
    assert short.diffusion.denoiser == paper.diffusion.denoiser
    stages = short.cmr, short.ecg, short.align, short.screening, short.vae, short.diffusion
    assert {stage.optimisation.steps for stage in stages} == {2}
