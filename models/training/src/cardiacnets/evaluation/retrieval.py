"""Whose cine belongs to an ECG: median rank of test people's cines, looked for by their ECGs after `align`.

`python -m cardiacnets.evaluation.retrieval [--run-dir DIR]`
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from cardiacnets.data.windows import cache_dir
from cardiacnets.stages.contrastive import QUERIES, retrieval


def main() -> None:
    """Print a JSON object: for each view, each of `QUERIES`; and with how many people."""
    from cardiacnets.domain import VIEWS
    from cardiacnets.programme import Programme, Run

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=cache_dir() / "compact")
    options = parser.parse_args()
    drawn = json.loads((options.run_dir / "cohort" / "meta.json").read_text())
    programme = replace(Programme(), people=drawn["n"], cine_people=drawn["cines"])
    points = Run(programme, options.run_dir, adopts=True).held_out_points()
    print(
        json.dumps(
            {view: {query: retrieval(points[query], points[view]) for query in QUERIES} for view in VIEWS}, indent=1
        )
    )


if __name__ == "__main__":
    main()
