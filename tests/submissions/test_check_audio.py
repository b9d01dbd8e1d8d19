"""Wavs whose chunks or samples are out of the ordinary."""

import struct
from collections.abc import Callable

import numpy as np
from submitting import OUT, Files, Pack

from s5eval.submissions.expected import Expected
from s5eval.submissions.validate import check_submission

Wav = Callable[..., bytes]


def test_wav_chunks_in_any_order(content: Files, pack: Pack, expected: Expected, wav: Wav) -> None:
    name = f"{OUT}/m_3_0_Doorbell.wav"
    plain = content[name]
    chunk = b"LIST" + struct.pack("<L", 5) + b"INFOx\0"
    body = plain[12:36] + chunk + plain[36:]
    content[name] = b"RIFF" + struct.pack("<L", len(body) + 4) + b"WAVE" + body
    assert check_submission(pack(content), expected=expected).findings == ()
    content[name] = wav(np.random.default_rng(3).uniform(-0.5, 0.5, 800), format_="WAVEX")
    assert check_submission(pack(content), expected=expected).findings == ()


def test_a_peak_at_full_scale_is_not_clipped(content: Files, pack: Pack, expected: Expected, wav: Wav) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 800)
    samples[100] = -1.0
    content[f"{OUT}/m_3_0_Doorbell.wav"] = wav(samples)
    assert check_submission(pack(content), expected=expected).findings == ()


def test_samples_at_full_scale_are_counted_alone_or_in_runs(
    content: Files, pack: Pack, expected: Expected, wav: Wav
) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 800)
    samples[:640:2] = 1.0
    content[f"{OUT}/m_3_0_Doorbell.wav"] = wav(samples)
    samples[:2] = -1.0
    content[f"{OUT}/m_4_0_Buzzer.wav"] = wav(samples)
    report = check_submission(pack(content), expected=expected)
    assert [(entry.rule, entry.message.split()[0]) for entry in report.findings] == [
        ("audio-clipped", "320"),
        ("audio-clipped", "321"),
    ]
    assert report.clipped_samples == report.as_dict()["clipped_samples"] == 641
    assert check_submission(pack(content), expected=expected, audio=False).clipped_samples is None


def test_the_first_sample_that_is_no_number_is_told(content: Files, pack: Pack, expected: Expected, wav: Wav) -> None:
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, 800)
    samples[[41, 700]] = np.inf, np.nan
    for subtype in ("FLOAT", "DOUBLE"):
        content[f"{OUT}/m_3_0_Doorbell.wav"] = wav(samples, subtype=subtype)
        messages = {entry.rule: entry.message for entry in check_submission(pack(content), expected=expected).findings}
        assert messages.keys() == {"audio-subtype", "audio-not-finite"}
        assert messages["audio-not-finite"].endswith("the first at 41")


def test_a_wav_from_a_pipe_is_a_warning(content: Files, pack: Pack, expected: Expected) -> None:
    name = f"{OUT}/m_3_0_Doorbell.wav"
    at = content[name].index(b"data") + 4
    content[name] = content[name][:at] + b"\xff" * 4 + content[name][at + 4 :]
    (found,) = check_submission(pack(content), expected=expected).findings
    assert (found.rule, found.severity, found.file) == ("audio-header", "warning", name)
    content[name] = content[name][:-100]
    assert [entry.rule for entry in check_submission(pack(content), expected=expected).findings] == [
        "audio-length", "audio-header",
    ]  # fmt: skip
