"""`cardiacnets-train`: every command that the pages name is understood as it is written there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cardiacnets.cli import cohort, main, segmentation, synthesis
from cardiacnets.programme import STAGES
from cardiacnets.signal.profile import REPOSITORY

PAGES = [
    "README.md", "models/training/README.md", "models/training/CAMPAIGN.md",
    "models/training/TRAININGS.md", "docs/evaluation.md", "docs/paper-configuration.md",
]  # fmt: skip


def commands() -> list[str]:
    """What follows `cardiacnets-train` on the pages, to the end of the command."""
    text = "\n".join((REPOSITORY / page).read_text() for page in PAGES)
    found = re.findall(r"(?:uv run |`)cardiacnets-train( [a-z-][^`#&|\n]*)", text)
    return sorted({command.rstrip(" ).").strip() for command in found if "…" not in command})


@pytest.mark.parametrize("command", [command for command in commands() if "--help" not in command])
def test_documented_command_parses(command):
    options = main.parse(shlex.split(command.replace("NAME", "ecg")))

    assert callable(options.command)


def test_documentation_contains_commands():
    assert len(commands()) > 10


def test_help_ends_without_error_on_a_closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-c", "from cardiacnets.cli.main import main; main()", "--help"]

    result = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, check=False)

    os.close(writer)
    assert (result.returncode, result.stderr) == (0, b"")


def test_train_options_are_parsed():
    options = main.parse(
        shlex.split(
            "--threads 1 train --stage screening --from-bundle ../some --all-weights --run-dir /tmp/run --data csv:x "
            "--people 120 --cine-people 0 --afresh --config compact"
        )
    )

    assert options == main.Options(
        main.Train(
            run_dir=Path("/tmp/run"),
            stage="screening",
            data="csv:x",
            afresh=True,
            from_bundle=Path("../some"),
            all_weights=True,
            people=120,
            cine_people=0,
        ),
        threads=1,
    )


def test_every_stage_can_be_selected():
    for stage in STAGES:
        assert main.parse(["train", "--stage", stage]).command == main.Train(stage=stage)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("keep", main.Keep()),
        ("export --version 1.2.0 --int8", main.Export(version="1.2.0", int8=True)),
        ("recalibrate --version 1.2.0 --bundle b", main.Recalibrate(version="1.2.0", bundle=Path("b"))),
        (
            "evaluate --final --report r.json --page p.md",
            main.Evaluate(report=Path("r.json"), final=True, page=Path("p.md")),
        ),
        ("cohort generate out --n 5 --cines 2 --seed 3 --workers 1", cohort.Generate(Path("out"), 5, 1, 2, 3)),
        ("cohort gallery out.png --people 2", cohort.Gallery(Path("out.png"), 2)),
        ("cohort oracle out", cohort.Oracle(Path("out"))),
        ("cohort compare out --data d --n 4", cohort.Compare(Path("out"), Path("d"), 4)),
        ("cohort statements out --data d --n 4", cohort.Statements(Path("out"), Path("d"), 4)),
        ("measure people --bundle b", main.Measure(Path("people"), bundle=Path("b"))),
        (
            "segmentation evaluate --cohort-seed 4 --people 9",
            segmentation.Segmentation("evaluate", people=9, cohort_seed=4),
        ),
        ("synthesis export --version 2.0.0", synthesis.Export(version="2.0.0")),
        ("synthesis evaluate --people 3", synthesis.Evaluate(people=3)),
        ("synthesis guidance 1 1.75 --steps 4 --people 2", synthesis.Guidance((1.0, 1.75), steps=4, people=2)),
        ("synthesis choices --page p.md", synthesis.Choices(page=Path("p.md"))),
    ],
)  # fmt: skip
def test_command_parses_its_options(line, command):
    found = main.parse(line.split()).command

    assert (found.action if isinstance(found, cohort.Cohort | synthesis.Synthesis) else found) == command


@pytest.mark.parametrize("line", ["", "export", "train --stage nothing", "cohort compare out", "train --people many"])
def test_invalid_command_line_exits_with_2(line, capsys):
    with pytest.raises(SystemExit) as ended:
        main.parse(line.split())

    assert ended.value.code == 2


def test_help_describes_the_options(capsys):
    with pytest.raises(SystemExit) as ended:
        main.parse(["train", "--help"])

    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "virtual, ukb:DIR, mimic:DIR or csv:FILE" in text
    assert "--from-bundle" in text
