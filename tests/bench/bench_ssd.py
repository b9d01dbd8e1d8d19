"""Speed and memory of the plain-torch Mamba-2 scan, against two others, in one run.

Shapes are those of the paper preset's F and T blocks: 513 x 623 and 626 x 510 sequences x steps, D = 64. Compared are
the scan alone with the algorithm of the published minimal listing (Dao & Gu, arXiv 2405.21060: dense segment sums
per chunk, chunk states, one dense product between chunks) and with the one in the torch path of transformers'
`Mamba2Mixer`, and the whole layer, projections and all, with that mixer. All contestants get the same number of
sequences; `--full` takes them all (transformers' path then needs tens of gigabytes, so it is fed in portions of 32
sequences either way, which is to its advantage).

    python tests/bench/bench_ssd.py [--sequences 64 | --full] [--repeats 7] [--threads 2]
"""

import argparse
import ctypes
import functools
import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s5eval.data_manifests.common.memory import keep_freed_memory
from s5eval.systems.networks.mamba2 import Mamba2
from s5eval.systems.networks.ssd_scan import ssd

SHAPES = {"F block": (626, 510), "T block": (513, 623)}
WIDTH, STATE, HEADDIM, HEADS = 64, 64, 64, 2
PORTION = 32


def listing(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *, chunk: int) -> Tensor:
    """The minimal listing's algorithm: (N, L, H, P) and so on as in `ssd`."""
    n, length, heads, width = x.shape
    short = -length % chunk
    pad = torch.nn.functional.pad
    X = pad(x * dt.unsqueeze(-1), (0, 0, 0, 0, 0, short)).view(n, -1, chunk, heads, width)
    a = pad(dt * A, (0, 0, 0, short)).view(n, -1, chunk, heads).permute(0, 3, 1, 2)
    Bh = pad(B, (0, 0, 0, short)).view(n, -1, chunk, 1, B.shape[-1]).expand(-1, -1, -1, heads, -1)
    Ch = pad(C, (0, 0, 0, short)).view(n, -1, chunk, 1, C.shape[-1]).expand(-1, -1, -1, heads, -1)
    sums = a.cumsum(-1)
    Y = torch.einsum("bclhn,bcshn,bhcls,bcshp->bclhp", Ch, Bh, _segment_sums(a).exp(), X)
    states = torch.einsum("bclhn,bhcl,bclhp->bchpn", Bh, (sums[..., -1:] - sums).exp(), X)
    states = torch.cat([torch.zeros_like(states[:, :1]), states], 1)
    between = _segment_sums(pad(sums[..., -1], (1, 0))).exp()
    states = torch.einsum("bhzc,bchpn->bzhpn", between, states)[:, :-1]
    Y = Y + torch.einsum("bclhn,bchpn,bhcl->bclhp", Ch, states, sums.exp())
    return Y.reshape(n, -1, heads, width)[:, :length] + x * D.unsqueeze(-1)


def _segment_sums(a: Tensor) -> Tensor:
    size = a.shape[-1]
    rows = a.unsqueeze(-1).expand(*a.shape, size)
    strict = torch.ones(size, size, dtype=torch.bool).tril(-1)
    sums = rows.masked_fill(~strict, 0.0).cumsum(-2)
    return sums.masked_fill(~torch.ones(size, size, dtype=torch.bool).tril(), float("-inf"))


def transformers_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *, chunk: int) -> Tensor:
    """The scan inside transformers' torch path alone, arguments as in `ssd`."""
    from transformers.models.mamba2.modeling_mamba2 import mamba2_chunk_scan

    return mamba2_chunk_scan(x, dt, A, B.unsqueeze(2), C.unsqueeze(2), chunk, D=D)


def transformers_layer(layer: Mamba2, chunk: int) -> torch.nn.Module:
    """transformers' layer with the same weights; its torch path is what runs on a CPU."""
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    config = Mamba2Config(
        hidden_size=WIDTH,
        state_size=STATE,
        expand=2,
        head_dim=HEADDIM,
        num_heads=HEADS,
        n_groups=1,
        conv_kernel=4,
        chunk_size=chunk,
        use_bias=False,
        use_conv_bias=True,
    )
    mixer = Mamba2Mixer(config, layer_idx=0)
    mixer.load_state_dict(layer.state_dict())
    return mixer


class _Watch(threading.Thread):
    """Peak of the process's resident memory while it runs, in bytes, above what was there before."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        ctypes.CDLL(None).malloc_trim(0)  # what earlier contestants left behind must be paid for again
        self.before = self.peak = _resident()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.002):
            self.peak = max(self.peak, _resident())

    def __enter__(self) -> "_Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


Contestant = tuple[Callable[..., Tensor], list[Tensor], int | None]
"""Function, inputs, and how many sequences it is given at a time (None: all)."""


def compete(contestants: dict[str, Contestant], rounds: int) -> dict[str, dict[str, float]]:
    """Best seconds forward (without gradients) and backward (alone) of several rounds, and peak MB of both together.

    Everybody has a turn in every round: what else the machine does in a minute then hits all of them alike.
    """
    rows = {name: {"forward_s": math.inf, "backward_s": math.inf, "peak_mb": math.inf} for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            for key, value in _turn(*contestant).items():
                rows[name][key] = min(rows[name][key], value)
    return rows


def _turn(function: Callable[..., Tensor], inputs: list[Tensor], portion: int | None) -> dict[str, float]:
    n = len(inputs[0])
    step = portion or n
    parts = [[t[i : i + step] if t.dim() > 1 else t for t in inputs] for i in range(0, n, step)]
    start = time.perf_counter()
    with torch.no_grad():
        for part in parts:
            function(*part)
    forward, backward = time.perf_counter() - start, 0.0
    with _Watch() as watch:
        for part in parts:
            leaves = [t.detach().requires_grad_() for t in part]
            out = function(*leaves)
            gradient = torch.ones_like(out)
            start = time.perf_counter()
            out.backward(gradient)
            backward += time.perf_counter() - start
            del out, leaves, gradient
    return {"forward_s": forward, "backward_s": backward, "peak_mb": (watch.peak - watch.before) / 1e6}


def main(sequences: int | None = 64, repeats: int = 7, threads: int = 2) -> dict[str, Any]:
    """Measure, print and return the figures; `sequences` None: all of a block."""
    keep_freed_memory()  # as every run does
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    figures: dict[str, Any] = {"sequences": sequences, "threads": threads}
    for name, (count, length) in SHAPES.items():
        n = min(count, sequences or count)
        x, dt = torch.randn(n, length, HEADS, HEADDIM), 0.1 * torch.rand(n, length, HEADS)
        B, C = torch.randn(n, length, STATE), torch.randn(n, length, STATE)
        inputs = [x, dt, -1.0 - 15.0 * torch.rand(HEADS), B, C, torch.ones(HEADS)]
        layer = Mamba2(WIDTH, STATE, 4, 2, HEADDIM)
        sound = [torch.randn(n, length, WIDTH)]
        contestants: dict[str, Contestant] = {"scan, own": (ssd, inputs, None)}
        for chunk in (32, 64):
            contestants[f"scan, listing, chunk {chunk}"] = (functools.partial(listing, chunk=chunk), inputs, None)
            other = functools.partial(transformers_scan, chunk=chunk)
            contestants[f"scan, transformers, chunk {chunk}"] = (other, inputs, PORTION)
        contestants["layer, own"] = (layer, sound, None)
        for chunk in (16, 32):
            contestants[f"layer, transformers, chunk {chunk}"] = (transformers_layer(layer, chunk), sound, PORTION)
        rows = compete(contestants, repeats)
        for row, value in rows.items():
            print(f"{name} {n}x{length} {row:32s}", {key: round(v, 3) for key, v in value.items()})
        ratios = {}
        for kind in ("scan", "layer"):
            others = [value for row, value in rows.items() if row.startswith(kind) and "own" not in row]
            for key in ("forward_s", "backward_s", "peak_mb"):
                ratios[f"{kind} {key}"] = min(o[key] for o in others) / rows[f"{kind}, own"][key]
        print(f"{name} best of the others / own:", {key: round(v, 2) for key, v in ratios.items()})
        figures[name] = {"rows": rows, "ratios": ratios}
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = main(None if options.full else options.sequences, options.repeats, options.threads)
    if options.json:
        print(json.dumps(result))
