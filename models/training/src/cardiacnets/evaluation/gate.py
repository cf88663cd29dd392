"""What the service answers nothing to: ECGs that its quality gate refuses, and those whose findings it withholds.

The rules are TypeScript; `npm run -s gate-verdicts -- FOLD` applies them to a fold of PTB-XL and writes the table that
is read here. Both are counted beside every flag rate, so that nothing is won by silence.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cardiacnets.data import ptbxl
from cardiacnets.evaluation.figures import Unanswered
from cardiacnets.evaluation.honesty import share
from cardiacnets.signal.profile import REPOSITORY

if TYPE_CHECKING:
    from cardiacnets.evaluation.inference import EcgSet

ADULT_YEARS = 18
"""The service withholds the findings of younger people."""
VERDICTS = REPOSITORY / "models" / "training" / "reports" / "gate"


def unanswered(data: "EcgSet", chosen: NDArray[np.bool_], folder: Path = VERDICTS) -> Unanswered:
    """Shares of the chosen ECGs of a set [n] that are refused and withheld; nothing where nobody looked."""
    path = folder / f"{data.name}.json"
    if not path.exists():
        return {}
    verdicts = json.loads(path.read_text())
    ids = ptbxl.read_ids(int(verdicts["fold"]))
    if len(ids) != len(data):
        raise ValueError(f"{path} is of {len(ids)} ECGs, not of {len(data)}")
    refused = np.isin(ids, verdicts["refused"])
    withheld = ~refused & (np.isin(ids, verdicts["withheld"]) | (data.person[:, 1] < ADULT_YEARS))
    return {"refused": share(refused[chosen]), "withheld": share(withheld[chosen])}
