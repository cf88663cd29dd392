"""Time both references and, with a model, screening in Python, one thread: `python -m cardiacnets.reference.bench`."""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before NumPy is loaded

import numpy as np
import onnxruntime

from cardiacnets.reference import obvious, vectorised
from cardiacnets.reference.synthetic import synthetic_ecg
from cardiacnets.signal.profile import load_profile


def median_ms(run: Callable[[], object], repeats: int) -> float:
    """Median wall time of `run`, ms, after one warm-up call."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def screening(model: Path) -> Callable[[], object]:
    """One window through `screen.onnx` in ONNX Runtime's Python, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {
        each.name: np.ones([1 if isinstance(size, str) else size for size in each.shape], dtype=np.float32)
        for each in session.get_inputs()
    }
    return lambda: session.run(None, feed)


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description="ms a window of the two Python references of the signal profile")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    parser.add_argument(
        "--input", type=Path, help="raw little-endian float64 [12][5000], mV, instead of the made-up ECG"
    )
    parser.add_argument("--model", type=Path, help="a bundle's screen.onnx: time a window through it as well")
    parser.add_argument("--hr", type=float, default=68, help="heart rate of the window, bpm (default 68: period 441)")
    options = parser.parse_args()

    profile = load_profile()
    if options.input:
        window = np.fromfile(options.input, dtype="<f8").reshape(12, profile.samples)
    else:
        window = synthetic_ecg(np.random.default_rng(1), leads=12, heart_rate_bpm=options.hr)
    figures = {
        "obviousMsPerWindow": median_ms(lambda: obvious.preprocess(window, options.hr, profile), 15),
        "vectorisedMsPerWindow": median_ms(lambda: vectorised.preprocess(window, options.hr, profile), 60),
    }
    if options.model:
        figures["inferenceMsPerWindow"] = median_ms(screening(options.model), 60)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name} {value:.2f}")


if __name__ == "__main__":
    main()
