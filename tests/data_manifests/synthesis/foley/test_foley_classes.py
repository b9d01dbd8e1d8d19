"""The 18 procedural classes can be told apart: a small network learns them and recognises draws it has not heard."""

from collections.abc import Iterator

import numpy as np
import pytest

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.synthesis.foley import draw_event
from s5eval.data_manifests.synthesis.foley.gallery import log_mel

FRAMES = 250  # 4 s at 16 ms
TRAIN_DRAWS, TEST_DRAWS, EPOCHS = 80, 20, 10


def features(label: str, seed: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, CLASSES.index(label), seed])))
    spectrogram = log_mel(draw_event(label, rng), bands=64)[:, ::2]
    spectrogram = np.maximum(spectrogram, spectrogram.max() - 70) - spectrogram.max() + 70
    repeated = np.tile(spectrogram, -(-FRAMES // spectrogram.shape[1]))[:, :FRAMES]
    return (repeated / 35 - 1).astype(np.float32)


@pytest.fixture
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("_one_thread")
def test_a_small_classifier_recognises_unseen_draws() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)

    def draws(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = [(label, first + i) for label in CLASSES for i in range(count)]
        x = torch.from_numpy(np.stack([features(label, seed) for label, seed in pairs]))[:, None]
        return x, torch.tensor([CLASSES.index(label) for label, _ in pairs])

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.AvgPool2d(2)]

    network = nn.Sequential(
        nn.AvgPool2d((1, 2)), *block(1, 12), *block(12, 24), *block(24, 48), nn.AdaptiveAvgPool2d((4, 1)),
        nn.Flatten(), nn.Linear(192, len(CLASSES)),
    )  # fmt: skip
    x, y = draws(0, TRAIN_DRAWS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()
    network.eval()
    x, y = draws(100_000, TEST_DRAWS)
    with torch.no_grad():
        guesses = torch.cat([network(part) for part in x.split(64)]).argmax(1)
    per_class = {label: float((guesses[y == i] == i).float().mean()) for i, label in enumerate(CLASSES)}
    accuracy = float((guesses == y).float().mean())
    print(f"accuracy {accuracy:.3f}", per_class)
    assert accuracy >= 0.9
    assert min(per_class.values()) >= 0.5
