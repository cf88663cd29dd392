"""Every Python package that training uses has a licence that a project under Apache-2.0 may use."""

import re
from importlib.metadata import distributions

ALLOWED = re.compile(r"Apache|BSD|\bMIT\b|\bISC\b|\bPSF-|Python Software Foundation|MPL-2\.0|\(MPL 2\.0\)|HPND")
# Enough alone where it stands in an expression: these would bind what links to them.
REFUSED = re.compile(r"\bA?GPL")
CUDA = re.compile(r"nvidia-|cuda-|triton$")
"""What torch loads on a machine with an NVIDIA GPU, under NVIDIA's own terms; nothing of it is shipped."""


def licence_of(metadata):
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License ::")]
    return " ".join([metadata.get("License-Expression") or "", (metadata.get("License") or "")[:200], *classifiers])


def test_every_package_has_an_allowed_licence():
    found = {each.metadata["Name"]: licence_of(each.metadata) for each in distributions()}

    others = {name: text for name, text in found.items() if not ALLOWED.search(text) or REFUSED.search(text)}

    assert {name: text for name, text in others.items() if not CUDA.match(name)} == {}
