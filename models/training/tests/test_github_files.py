"""GitHub ignores a form or a workflow that it cannot read, without a word in the repository."""

import subprocess
import sys
from pathlib import Path

import pytest

GITHUB = Path(__file__).parents[3] / ".github"


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.github-workflows", "workflows/*.yml"),
        ("vendor.github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("vendor.github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_github_accepts_the_file(schema: str, pattern: str) -> None:
    files = sorted(map(str, GITHUB.glob(pattern)))
    assert files
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
