"""Arrays that come in from outside, numpy or torch: checked, named in errors, and brought into one shape.

torch is never imported here: a tensor can only come from somebody who has imported it.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.labels import label_problem
from s5eval.data_manifests.records import MIXTURE_CHANNELS, SAMPLE_RATE, Mixture, Reference, scale_problem
from s5eval.systems.interface import Estimate

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = npt.NDArray[Any] | torch.Tensor
    """A numpy array or a torch tensor that needs no gradient, on any device."""
else:
    Array = Any

Recording: TypeAlias = Array | Mixture
"""A recording (4, T) as an array, or that of a scene."""

LabelledAudio: TypeAlias = Mapping[str, Array] | Sequence[tuple[str, Array] | Estimate | Reference]
"""Waveforms (T,) by label; or, since labels may repeat, pairs of label and waveform, what came from `separate`, or the
references of a scene.
"""

_PCM = {"int16": 2.0**-15, "int32": 2.0**-31}
"""Integer samples that can be taken for PCM, and what makes full scale 1.0 of them."""

_LARGEST = float(np.finfo(np.float32).max)


def check_rate(sample_rate: int) -> None:
    """Refuse any rate but the challenge's. Raises `DataError`."""
    if sample_rate != SAMPLE_RATE:
        raise DataError(f"the sample rate is {sample_rate!r} Hz, expected {SAMPLE_RATE} Hz; resample the arrays first")


def as_waveform(array: Array, name: str) -> npt.NDArray[np.floating]:
    """The samples of an array of any dimension: float32 or float64, full scale 1.0, on the CPU.

    Args:
        array: floating samples; or int16 or int32, read as PCM.
        name: what errors call it, such as `estimates['Speech']`.

    Raises:
        UsageError: not a numpy array or tensor, of another type of number, with masked samples, or a tensor that needs
            a gradient or cannot be read.
        DataError: a sample is NaN or infinite, or beyond what 32 bits hold.
    """
    samples = _numpy(array, name)
    if not samples.dtype.isnative:
        samples = samples.astype(samples.dtype.newbyteorder("="))
    if samples.dtype.name in _PCM:
        samples = samples * np.float32(_PCM[samples.dtype.name])
    elif samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    elif samples.dtype not in (np.float32, np.float64):
        raise UsageError(f"{name} holds {samples.dtype}; expected floating samples, or int16 or int32 (PCM)")
    finite = np.abs(samples) <= _LARGEST  # scores are of 32 bits, and no NaN is
    if not finite.all():
        first = int(np.argmin(finite.reshape(-1, samples.shape[-1] if samples.ndim else 1).all(axis=0)))
        what = "samples beyond what 32 bits hold" if np.isfinite(samples).all() else "NaN or infinite samples"
        raise DataError(f"{name}: {what}, the first at sample {first}")
    return samples


def _numpy(array: Array, name: str) -> npt.NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        if array.requires_grad:
            raise UsageError(
                f"{name} requires a gradient, which a score has not: pass it with .detach(); "
                "the loss with gradients is s5eval.systems.training.capi_loss.capi_sdri_loss"
            )
        wide: Any = array.float() if array.dtype is torch.bfloat16 else array
        try:
            return np.asarray(wide.cpu().resolve_conj().resolve_neg().numpy())
        except (TypeError, RuntimeError) as error:  # sparse, quantised, without data, of eight bits
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{name} is a tensor that numpy cannot read ({reason}); expected a dense one") from error
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{name} is a {type(array).__name__}, expected a numpy array or a torch tensor")
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise UsageError(f"{name} has masked samples; fill them, with array.filled(0.0), or cut them out")
        return np.asarray(array.data)
    return array


def _at_scale(samples: npt.NDArray[np.floating], name: str) -> npt.NDArray[np.floating]:
    if problem := scale_problem(float(np.abs(samples).max(initial=0.0))):
        raise DataError(f"{name} {problem}")
    return samples


def as_foa(mixture: Recording) -> npt.NDArray[np.float32]:
    """A first-order Ambisonics recording, float32 (4, T). Raises as `as_waveform`, and where the shape is another, or
    the scale (`scale_problem`); that of a scene is read, and raises as `Mixture.audio`.
    """
    samples = _recorded(mixture)
    if samples.ndim != 2 or samples.shape[0] != MIXTURE_CHANNELS or samples.shape[1] == 0:
        raise DataError(f"mixture has shape {samples.shape}, expected ({MIXTURE_CHANNELS}, T){_turned(samples)}")
    return np.ascontiguousarray(samples, np.float32)


def as_channel_0(mixture: Recording) -> npt.NDArray[np.floating]:
    """Channel 0 (T,) of a recording (4, T), or itself where it is mono. Raises as `as_foa`."""
    samples = _recorded(mixture)
    if samples.ndim == 1 and len(samples):
        return samples
    if samples.ndim != 2 or samples.shape[0] not in (1, MIXTURE_CHANNELS) or samples.shape[1] == 0:
        raise DataError(
            f"mixture has shape {samples.shape}, expected ({MIXTURE_CHANNELS}, T), or (T,) of channel 0 "
            f"alone{_turned(samples)}"
        )
    channel: npt.NDArray[np.floating] = samples[0]
    return channel


def _recorded(mixture: Recording) -> npt.NDArray[np.floating]:
    if isinstance(mixture, Mixture):
        return mixture.audio()
    return _at_scale(as_waveform(mixture, "mixture"), "mixture")


def as_sources(
    sources: LabelledAudio, name: Literal["estimates", "references"], *, length: int
) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Labels and waveforms (N, T) of labelled sources, in their order, in float32 as the official evaluator has them.

    Args:
        sources: see `LabelledAudio`; empty where nothing is heard.
        name: what they are. Estimates may have any scale: one that is far above the references' is flagged.
        length: T, of the mixture.

    Raises:
        UsageError: not labelled waveforms at all; see `as_waveform`.
        DataError: a label is not one of the 18 classes (the closest is named), or a waveform has another shape;
            or a reference another scale (`scale_problem`), or a scene's own cannot be read.
    """
    labels: list[str] = []
    rows: list[npt.NDArray[np.float32]] = []
    for index, (label, array) in enumerate(_labelled(sources, name)):
        where = f"{name}[{label!r}]" if isinstance(sources, Mapping) else f"{name}[{index}] ({label})"
        if not isinstance(label, str):
            raise UsageError(f"{name}[{index}]: the label is a {type(label).__name__}, expected a word")
        if problem := label_problem(label):
            raise DataError(f"{name}: {problem}")
        samples = as_waveform(array, where)
        if samples.ndim != 1:
            raise DataError(f"{where} has shape {samples.shape}, expected ({length},): sources are mono")
        if len(samples) != length:
            raise DataError(f"{where} has {len(samples)} samples, the mixture has {length}")
        labels.append(label)
        if name == "references":
            _at_scale(samples, where)
        rows.append(samples.astype(np.float32, copy=False))
    return tuple(labels), np.stack(rows) if rows else np.empty((0, length), np.float32)


def _labelled(sources: LabelledAudio, name: str) -> Iterable[tuple[str, Array]]:
    if isinstance(sources, Mapping):
        return list(sources.items())
    if not isinstance(sources, list | tuple):
        raise UsageError(f"{name} is a {type(sources).__name__}, expected {{label: waveform}} or [(label, waveform)]")
    pairs = []
    for index, entry in enumerate(sources):
        if isinstance(entry, Estimate):
            pairs.append((entry.label, entry.audio))
        elif isinstance(entry, Reference):
            pairs.append((entry.label, entry.audio()))
        elif isinstance(entry, tuple) and len(entry) == 2:
            pairs.append(entry)
        else:
            raise UsageError(f"{name}[{index}] is a {type(entry).__name__}, expected a pair (label, waveform)")
    return pairs


def _turned(samples: npt.NDArray[np.floating]) -> str:
    turned = samples.ndim == 2 and samples.shape[1] in (1, MIXTURE_CHANNELS) and samples.shape[0] > MIXTURE_CHANNELS
    return "; its transpose .T has that" if turned else ""
