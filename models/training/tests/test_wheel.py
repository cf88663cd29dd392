"""The package works away from the checkout: as a wheel, with what it shares with TypeScript inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cardiacnets.tables

TRAINING = Path(__file__).parents[1]
SHARED = TRAINING.parents[1] / "shared"


@pytest.mark.parametrize("path", ["domain/conditions.json", "domain/indices.json", "signal/cardiacnets-v1.json"])
def test_table_equals_the_one_that_typescript_reads(path):
    copy = Path(cardiacnets.tables.__file__).with_name(Path(path).name)

    assert copy.read_text() == (SHARED / path).read_text(), f"cp shared/{path} {copy.parent}"


def test_wheel_runs_outside_the_checkout(tmp_path):
    build = ["uv", "build", "--wheel", "--offline", "--quiet", "--out-dir", str(tmp_path), str(TRAINING)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        (scripts,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "cardiacnets-train = cardiacnets.cli.main:main" in archive.read(scripts).decode()

    code = "import sys, cardiacnets.cli.main as cli; print(cli.__file__); sys.argv = ['x', '--help']; cli.main()"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(str(tmp_path / "site"))
    assert "cardiacnets-train" in said.stdout
