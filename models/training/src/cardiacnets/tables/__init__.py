"""Tables that Python and TypeScript share, as files of this package, so that a wheel works away from the checkout.

They are copies of `shared/domain/{conditions,indices}.json` and `shared/signal/cardiacnets-v1.json`.
`tests/test_wheel.py` keeps them equal.
"""

import json
from importlib.resources import files
from typing import Any


def table(name: str) -> Any:  # noqa: ANN401 - a JSON document
    """The document of the file `name`."""
    return json.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))
