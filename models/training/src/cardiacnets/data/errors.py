"""What can be wrong with one person's files. A cohort of thousands has some of each: they are counted, and left out."""

from typing import Literal, get_args

Code = Literal[
    "ecg-missing", "ecg-unreadable", "ecg-leads", "ecg-too-short", "ecg-gap", "cmr-unreadable", "cmr-view", "cmr-slices"
]
CODES: tuple[Code, ...] = get_args(Code)


class RecordError(ValueError):
    """A file that cannot be used; `code` says why, and holds nothing of a person."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


class SourceError(ValueError):
    """A cohort that cannot be loaded: a table or column is missing or says what cannot be. The text says where."""
