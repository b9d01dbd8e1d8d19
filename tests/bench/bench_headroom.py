"""What a separator could gain on the embedded scenes, by what it is allowed to know: SDRi in dB, oracle by oracle.

From the mixture scaled as a whole to a filter of its own for every bin. It tells what training has to find, and that
scenes of two seconds are other scenes than those of ten.

    python tests/bench/bench_headroom.py [--scenes N]
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from s5eval.data_manifests.sets.mini import RECIPE, mini_material
from s5eval.data_manifests.training_scenes import TrainingScenes, start_worker

WINDOW, HOP = 1024, 512
AUDIBLE = 1e-3
"""Power of a frame, relative to the source's loudest, from which on it counts as sounding: −30 dB."""


def main(scenes: int) -> None:
    """Print a row per duration and oracle."""
    start_worker(0)
    torch.set_num_threads(1)
    for seconds in (2.0, 10.0):
        figures: dict[str, list[float]] = defaultdict(list)
        recipe = replace(RECIPE, duration=seconds, target_counts=(0, 1 / 3, 1 / 3, 1 / 3))
        data = TrainingScenes(mini_material("valid"), recipe, seed=99, scenes_per_epoch=scenes)
        for index in range(scenes):
            item = data[index]
            mixture, targets = torch.from_numpy(item["mixture"]), torch.from_numpy(item["targets"])
            for target in targets[torch.from_numpy(item["labels"]) >= 0]:
                if target.any():
                    for name, value in oracles(mixture, target):
                        figures[name].append(value)
        print(f"scenes of {seconds:g} s, {len(next(iter(figures.values())))} sources")
        for name, values in figures.items():
            print(f"  {name:48s} {np.mean(values):6.2f}")


def oracles(mixture: Tensor, target: Tensor) -> Iterator[tuple[str, float]]:
    """Name and SDRi of every estimate of `target` (T,) that can be made of `mixture` (4, T) with its help."""
    window = torch.hann_window(WINDOW)
    x = torch.stft(mixture, WINDOW, HOP, window=window, return_complex=True)
    s = torch.stft(target, WINDOW, HOP, window=window, return_complex=True)
    frames = s.abs().square().sum(0)
    sounding = frames > AUDIBLE * frames.max()

    def audio(spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, WINDOW, HOP, window=window, length=len(target))

    def gain(estimate: Tensor) -> Tensor:
        return estimate * (target @ estimate) / (estimate @ estimate + 1e-12)

    base = snr(target, mixture[0])
    yield "share of the time in which the source sounds, %", 100 * sounding.double().mean().item()
    yield "silence", snr(target, torch.zeros_like(target)) - base
    yield "the mixture, scaled", snr(target, gain(mixture[0])) - base
    yield "the frames in which the source sounds, scaled", snr(target, gain(audio(x[0] * sounding))) - base
    yield "a filter over four channels in every bin", snr(target, audio(filtered(x, s))) - base
    ratio = (s.abs() / x[0].abs().clamp_min(1e-6)).clamp_max(1)
    yield "the ideal amplitude mask", snr(target, audio(ratio * x[0])) - base


def filtered(x: Tensor, s: Tensor) -> Tensor:
    """Least squares of (bins, frames) from (channels, bins, frames): one weight per channel and bin, for all frames."""
    rows = x.permute(1, 0, 2)
    power = rows @ rows.mH
    level = power.diagonal(dim1=1, dim2=2).real.mean(1)[:, None, None]
    weight = torch.linalg.solve(power + (1e-6 * level + 1e-12) * torch.eye(len(x)), rows @ s.conj().unsqueeze(-1))
    return (weight.mH @ rows).squeeze(1)


def snr(reference: Tensor, estimate: Tensor) -> float:
    """In dB."""
    error = (reference - estimate).square().sum() + 1e-7
    return float(10 * torch.log10((reference.square().sum() + 1e-7) / error))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenes", type=int, default=30)
    main(parser.parse_args().scenes)
