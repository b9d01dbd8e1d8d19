import re
from pathlib import Path

import numpy as np
import soundfile

from s5eval.data_manifests.synthesis.foley.gallery import log_mel, write_preview


def test_the_page_shows_and_plays_what_is_beside_it(tmp_path: Path) -> None:
    page = write_preview(tmp_path / "p", kinds=("Doorbell", "Frog"), draws=2)
    text = page.read_text()
    for name in re.findall(r'src="([^"]+)"', text):
        assert (tmp_path / "p" / name).stat().st_size > 1000
    assert len(re.findall("<audio", text)) == 4 and len(re.findall("<img", text)) == 2
    assert "http" not in text
    assert "2 draws per class" in text and "Spectrograms of 2 sounds of" in text
    assert "frequency in Hz" in text
    one = write_preview(tmp_path / "q", kinds=("Doorbell",), draws=1).read_text()
    assert "1 draw per class" in one and "Spectrogram of 1 sound of" in one
    assert "--draws: 1" in one and "var(--draws) * 27.5rem" in one, "a picture is not blown up to the page's width"
    assert np.abs(soundfile.read(tmp_path / "p" / "Doorbell_0.wav")[0]).max() < 0.71


def test_the_spectrogram_shows_a_tone_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(32_000) / 32_000).astype(np.float32)
    spectrogram = log_mel(tone)
    assert spectrogram.shape == (128, 125)
    band = spectrogram[:, 60].argmax()
    mel = np.log10(1 + np.array([40, 1000, 16_000]) / 700)
    assert abs(band - (mel[1] - mel[0]) / (mel[2] - mel[0]) * 129) < 2
