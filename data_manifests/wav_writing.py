"""Audio as the bytes of a file, which something that can tell a full disk puts in its place."""

import io
import struct

import numpy as np
import numpy.typing as npt
import soundfile

from s5eval.data_manifests.common.errors import AudioError


def wav_bytes(samples: npt.NDArray[np.float32] | npt.NDArray[np.int16], *, sample_rate: int, **form: str) -> bytes:
    """The whole file, in memory, that `write_atomically` puts in its place.

    libsndfile is never given a path to write to: on a full disk it ends without an error and leaves a header that says
    zero frames.

    Args:
        samples: (T,) or (T, channels).
        sample_rate: in Hz.
        form: `subtype`, and `format` where it is not WAV, as soundfile names them.
    """
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, **{"format": "WAV", **form})
    return file.getvalue()


def pcm16_header(frames: int, *, sample_rate: int) -> bytes:
    """What stands before the samples of a 16-bit mono wav.

    Raises:
        AudioError: more samples than a wav can hold (18 hours of 32 kHz).
    """
    header = bytearray(wav_bytes(np.empty(0, np.int16), sample_rate=sample_rate, subtype="PCM_16"))
    try:
        struct.pack_into("<L", header, 4, len(header) - 8 + 2 * frames)
        struct.pack_into("<L", header, len(header) - 4, 2 * frames)
    except struct.error as error:
        raise AudioError(f"{frames} samples are more than a 16-bit wav can hold") from error
    return bytes(header)
