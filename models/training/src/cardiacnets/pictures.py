"""Pictures of reports, small: a palette in place of full colour, as they are kept in the repository."""

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

COLOURS = 64


def shrink(path: Path, colours: int = COLOURS) -> None:
    """Give a PNG a palette of its own."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def save_figure(figure: Figure, path: Path, dpi: int, colours: int = COLOURS) -> None:
    """Write a figure as a small PNG."""
    figure.savefig(path, dpi=dpi)
    shrink(path, colours)
