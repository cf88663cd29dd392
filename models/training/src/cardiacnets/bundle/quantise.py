"""Smaller variants of an ONNX file: int8 (static QDQ), float16, or its weights alone in float16; and their times."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from cardiacnets.bundle.write import inference_session

Feed = dict[str, NDArray[Any]]


class _Feeds(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next batch."""
        return next(self._feeds, None)


def quantise(screen: Path, out: Path, feeds: list[Feed]) -> None:
    """Write the int8 variant: convolutions of the encoder, a scale a channel, activations' ranges from `feeds`.

    The front end's filter stays in float32: it works on mV, where eight bits are too few.
    """
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(screen, prepared, skip_symbolic_shape=True)
    graph = onnx.load(prepared).graph
    first = next(node.name for node in graph.node if node.op_type == "Conv")
    quantize_static(
        prepared,
        out,
        _Feeds(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=[first],
    )
    prepared.unlink()


def compute_in_half(network: Path, out: Path) -> None:
    """Write the float16 variant; inputs and outputs stay float32, and so does what float16 cannot hold."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # seconds to import

    onnx.save(convert_float_to_float16(onnx.load(network), keep_io_types=True), out)


def store_in_half(network: Path, out: Path) -> None:
    """Write the variant that keeps its weights in float16 and computes in float32.

    The runtime widens the weights when it loads the file. Only values that float16 holds exactly are stored so: round
    the weights first.
    """
    model = onnx.load(network)
    graph, casts = model.graph, []
    for tensor in [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT]:
        wide = numpy_helper.to_array(tensor)
        narrow = wide.astype(np.float16)
        if wide.size == 1 or not np.array_equal(narrow, wide):
            continue
        stored = numpy_helper.from_array(narrow, f"{tensor.name}_half")
        graph.initializer.remove(tensor)
        graph.initializer.append(stored)
        casts.append(helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, out)


def milliseconds(models: list[Path], feed: Feed, rounds: int = 60) -> list[float]:
    """Time of one window on one thread: the models take turns, and the quickest tenth counts, whatever else runs."""
    one = {name: values[:1] for name, values in feed.items()}
    sessions = [inference_session(model) for model in models]
    times = np.empty((rounds, len(sessions)))
    for turn in times:
        for place, session in enumerate(sessions):
            start = time.perf_counter()
            session.run(None, one)
            turn[place] = time.perf_counter() - start
    return [1000 * float(value) for value in np.quantile(times, 0.1, axis=0)]
