"""Drawing: curves as a picture, one panel above the other."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from jobs.errors import SentinelError
from jobs.plot.curve import Curve, Mark
from schemas.anomaly import Severity
from udfs.kernels import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS: Final = (".png", ".svg")
_COLOURS: Final = {Severity.INFO: "#5b8db8", Severity.WARNING: "#e08a00", Severity.CRITICAL: "#c8102e"}
_BAND: Final = "#9ecae1"
_SIZES: Final = {Severity.INFO: 18, Severity.WARNING: 26, Severity.CRITICAL: 40}
_WIDTH_INCHES, _PANEL_INCHES, _FRAME_INCHES = 12.0, 3.0, 0.6
_SAME_TIME = 1.5
"""Curves share an axis if the time of all of them is at most so many times that of the shortest."""
_SPREAD_OF_LOG = 30.0
"""A curve whose values reach so many times their median is drawn on a logarithmic axis, if all are positive."""


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Write a picture of curves; its format is that of the file's name, .png or .svg.

    The same curves give the same SVG, byte for byte. Raises SentinelError if that is no format, if matplotlib is not
    installed, or if the file cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise SentinelError(f"{path} is neither .png nor .svg")
    if find_spec("matplotlib") is None:
        raise SentinelError("plots need matplotlib: install the extra, pip install 'llm-sentinel[plot]'")
    # Slow to import, and not there in every installation. The object interface: no display, no state between pictures.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    height = _PANEL_INCHES * len(curves) + _FRAME_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(curves), 1, squeeze=False, sharex=_have_one_time(curves))[:, 0]
    for panel, curve in zip(panels, curves, strict=True):
        _draw_panel(panel, curve.thinned())
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    panels[-1].set_xlabel("event time, UTC")
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    try:
        with rc_context({"svg.hashsalt": "llm-sentinel"}):
            figure.savefig(path, dpi=110, metadata=metadata)
    except OSError as error:
        raise SentinelError(f"cannot write {path}: {error.strerror}") from None


def _draw_panel(panel: "Axes", curve: Curve) -> None:
    at = curve.at_ms.astype("datetime64[ms]")
    if np.isfinite(curve.low).any() or np.isfinite(curve.high).any():
        # An end that is not there is no limit; what lies beyond the picture is cut off.
        low, high = np.nan_to_num(curve.low, nan=-1e300), np.nan_to_num(curve.high, nan=1e300)
        known = np.isfinite(curve.low) | np.isfinite(curve.high)
        panel.fill_between(at, low, high, where=known, color=_BAND, alpha=0.5, linewidth=0, label="expected range")
    if np.isfinite(curve.expected).any():
        panel.plot(at, curve.expected, color="#4a7fa5", linewidth=0.9, linestyle="--", label="expected")
    panel.plot(at, curve.value, color="#222222", linewidth=0.9, label="observed")
    if _needs_log(curve):
        panel.set_yscale("log")
    for severity in Severity:
        own = [mark for mark in curve.marks if mark.severity is severity]
        of_curve = [mark for mark in own if not math.isnan(mark.value)]
        of_calls = [mark for mark in own if math.isnan(mark.value)]
        _draw_marks(panel, of_curve, severity, "o", f"{severity.value} anomaly")
        _draw_marks(panel, of_calls, severity, "v", f"{severity.value}, single call")
    panel.set_title(curve.title, fontsize=10, loc="left")
    panel.set_ylabel(curve.unit if curve.unit != "1" else "share")
    panel.grid(color="#dddddd", linewidth=0.5)
    panel.set_axisbelow(True)
    panel.legend(loc="upper left", fontsize=7, ncols=7, framealpha=0.7)
    panel.margins(x=0.01)
    _frame(panel, curve)


def _frame(panel: "Axes", curve: Curve) -> None:
    """Show all values and anomalies, and of a band that is much wider only so much that it is seen to be."""
    shown = _shown(curve)
    if not len(shown):
        return
    lowest, highest = float(shown.min()), float(shown.max())
    ends = [float(end) for end in (*curve.low, *curve.high) if math.isfinite(end)]
    room = max(highest - lowest, abs(highest) * 1e-3, 1e-12)
    if panel.get_yscale() == "log":
        panel.set_ylim(lowest / 1.5, highest * 1.5)
    else:
        bottom = max(min([lowest, *ends]), lowest - room)
        top = min(max([highest, *ends]), highest + room)
        # Equal values need room as well.
        margin = 0.05 * (top - bottom) or 0.05 * abs(top) or 1.0
        panel.set_ylim(bottom - margin, top + margin)


def _draw_marks(panel: "Axes", marks: Sequence[Mark], severity: Severity, marker: str, label: str) -> None:
    if not marks:
        return
    at = np.array([mark.at_ms for mark in marks], dtype="datetime64[ms]")
    style = {"s": _SIZES[severity], "marker": marker, "color": _COLOURS[severity], "label": label, "zorder": 3}
    if math.isnan(marks[0].value):
        # On the upper edge, wherever that is: they are no values of this curve.
        panel.scatter(at, np.ones(len(marks)), transform=panel.get_xaxis_transform(), clip_on=False, **style)  # type: ignore[arg-type]
    else:
        panel.scatter(at, [mark.value for mark in marks], **style)  # type: ignore[arg-type]


def _needs_log(curve: Curve) -> bool:
    values = _shown(curve)
    return len(values) > 0 and bool(values.min() > 0.0) and bool(values.max() > _SPREAD_OF_LOG * np.median(values))


def _shown(curve: Curve) -> Floats:
    """Return all values and those of the anomalies, as far as they are finite."""
    values: Floats = np.concatenate([curve.value, np.array([mark.value for mark in curve.marks], dtype=np.float64)])
    return np.asarray(values[np.isfinite(values)])


def _have_one_time(curves: Sequence[Curve]) -> bool:
    """Return whether curves cover about the same time, so that one axis serves all."""
    spans = [(int(curve.at_ms[0]), int(curve.at_ms[-1])) for curve in curves]
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    return whole <= _SAME_TIME * min(end - start for start, end in spans)
