"""The state-space scan of Mamba-2 in plain torch, in chunks, with its own backward pass.

Per head with state S (state × head dim) and inputs x, step sizes dt > 0, decay rate A < 0, input and output
vectors B and C shared by the heads (Dao & Gu, arXiv 2405.21060):

    S_t = exp(dt_t A) S_{t-1} + B_t (dt_t x_t)ᵀ        y_t = S_tᵀ C_t + D x_t

Inside a chunk the sum over earlier steps is a masked matrix product, between chunks the state is carried. The scan
takes a few sequences at a time, and their chunks in order, in working memory that is used again and again, so that
what it works on stays in the cache; the backward pass recomputes instead of storing: it keeps the inputs, no more.

Numerics: decays are differences of running sums s_i − s_j of dt·A. Those sums grow along the chunk while their
differences may be tiny, so they are formed in float64 and split into a float32 part, whose differences are exact
where they matter, and a remainder, which is moved out of the matrix into per-step factors.
"""

import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from s5eval.systems.networks.precision import full_precision

CHUNK = 64
"""Default steps per chunk."""

_CACHE_BYTES = 1 << 22
"""Rough bound on the working set per thread on a CPU."""


def ssd(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *, chunk: int = CHUNK) -> Tensor:
    """Scan sequences of any length.

    Args:
        x: (N, L, H, P) inputs of N sequences and H heads.
        dt: (N, L, H) step sizes, positive.
        A: (H,) decay rates, negative.
        B: (N, L, S) input vectors, S the size of the state.
        C: (N, L, S) output vectors.
        D: (H,) weight of the direct path.
        chunk: steps per chunk; changes speed, not the result.

    Returns:
        (N, L, H, P) in the type of `x`; computed in float32, or in float64 when `x` is.

    Raises:
        ValueError: shapes do not fit each other.
    """
    n, length, heads, _ = x.shape
    if dt.shape != (n, length, heads) or B.shape != (n, length, B.shape[-1]) or C.shape != B.shape:
        raise ValueError(
            f"shapes do not fit: x {tuple(x.shape)}, dt {tuple(dt.shape)}, B {tuple(B.shape)}, C {tuple(C.shape)}"
        )
    if A.shape != (heads,) or D.shape != (heads,):
        raise ValueError(f"A {tuple(A.shape)} and D {tuple(D.shape)} must hold one value for each of {heads} heads")
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}, expected a positive number of steps")
    precise = torch.float64 if x.dtype == torch.float64 else torch.float32
    with full_precision(x):
        y = cast(Any, _Scan).apply(*(t.to(precise) for t in (x, dt, A, B, C, D)), min(chunk, max(length, 1)))
    return cast(Tensor, y).to(x.dtype)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, chunk: int) -> Tensor:
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        memory = _Memory(x)
        for slab in _slabs(x, B.shape[-1], chunk):
            _scan_forward(_Slab(x[slab], dt[slab], A, B[slab], C[slab], chunk, memory), D, y[slab])
        ctx.save_for_backward(x, dt, A, B, C, D)
        ctx.chunk = chunk
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, dt, A, B, C, D = ctx.saved_tensors
        dy = grads[0]
        gradients = _Gradients(*(torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in (x, dt, dt, B, C)))
        dD = torch.zeros_like(D, dtype=torch.float64)
        memory = _Memory(x)
        for slab in _slabs(x, B.shape[-1], ctx.chunk):
            part = _Slab(x[slab], dt[slab], A, B[slab], C[slab], ctx.chunk, memory)
            dD += _scan_backward(part, D, dy[slab], _Gradients(*(g[slab] for g in gradients)))
        dA = (gradients.decay * dt).sum((0, 1), dtype=torch.float64)
        ddt = gradients.dt.addcmul_(gradients.decay, A)
        return gradients.x, ddt, dA.to(A.dtype), gradients.B, gradients.C, dD.to(D.dtype), None


class _Gradients(NamedTuple):
    """Gradients to fill: of x, of dt apart from the decays, of the log decays dt·A, of B and of C."""

    x: Tensor
    dt: Tensor
    decay: Tensor
    B: Tensor
    C: Tensor


class _Memory:
    """Named working tensors, so that the steps of every chunk touch the same pages again."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._kept: dict[str, Tensor] = {}

    def get(self, name: str, *shape: int) -> Tensor:
        """A contiguous tensor of that shape, holding whatever was left in it."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.numel() < size:
            kept = self._kept[name] = self._like.new_empty(size)
        return kept[:size].view(shape)


def _slabs(x: Tensor, state: int, chunk: int) -> list[slice]:
    n, _, heads, width = x.shape
    if x.device.type != "cpu":
        return [slice(0, n)]
    each = x.element_size() * (heads * chunk**2 + heads * state * width + 2 * chunk * heads * width)
    step = max(1, min(n, _CACHE_BYTES * torch.get_num_threads() // each))
    return [slice(first, min(first + step, n)) for first in range(0, n, step)]


class _Slab:
    """A few sequences, their decays, and the tensors that both passes need of a chunk of q steps.

    Decays are (chunks, n, q, H), each chunk's running sums s starting anew; `total` is (chunks, n, 1, H).
    """

    def __init__(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int, memory: _Memory) -> None:
        n, length, heads = dt.shape
        self.x, self.B, self.C, self.memory = x, B, C, memory
        self.shape = (n, heads, B.shape[-1], x.shape[-1])
        self.parts = [slice(first, min(first + chunk, length)) for first in range(0, length, chunk)]
        steps = F.pad(dt, (0, 0, 0, -length % chunk)).view(n, -1, chunk, heads).transpose(0, 1)
        sums = (steps.double() * A.double()).cumsum(2)
        last = sums[:, :, -1:]
        self.high = sums.to(dt.dtype)
        self.start = self.high.exp()  # from the chunk's start to step i, without the remainder
        self.end = (last - self.high).to(dt.dtype).exp_()  # from step j to the chunk's end, without the remainder
        self.total = last.exp().to(dt.dtype)
        self.rest = (sums - self.high).to(dt.dtype).exp_()
        self.step = steps / self.rest

    def inputs(self, c: int, name: str) -> Tensor:
        """(n, q, H, P): x · dt of chunk c, its decay's remainder taken out."""
        part = self.x[:, self.parts[c]]
        return torch.mul(part, self.step[c, :, : part.shape[1], :, None], out=self.memory.get(name, *part.shape))

    def products(self, c: int) -> Tensor:
        """(n, q, q): C_i · B_j for j ≤ i, zero above the diagonal."""
        B, C = self.B[:, self.parts[c]], self.C[:, self.parts[c]]
        n, q, _ = B.shape
        return torch.bmm(C, B.transpose(1, 2), out=self.memory.get("products", n, q, q)).tril_()

    def matrix(self, c: int, h: int) -> Tensor:
        """(n, q, q): exp(high_i − high_j) of head h for j ≤ i, one above the diagonal."""
        high = self.high[c, :, : self.parts[c].stop - self.parts[c].start, h]
        n, q = high.shape
        out = self.memory.get("matrix", n, q, q)
        return torch.sub(high.unsqueeze(2), high.unsqueeze(1), out=out).clamp_(max=0.0).exp_()

    def advance(self, c: int, state: Tensor, inputs: Tensor) -> None:
        """Carry the state (n, S, H·P) over chunk c in place; `inputs` (n, q, H, P) are overwritten."""
        n, heads, size, width = self.shape
        q = inputs.shape[1]
        inputs.mul_(self.end[c, :, :q, :, None])
        state.view(n, size, heads, width).mul_(self.total[c].unsqueeze(-1))
        state.baddbmm_(self.B[:, self.parts[c]].transpose(1, 2), inputs.view(n, q, heads * width))


def _scan_forward(slab: _Slab, D: Tensor, y: Tensor) -> None:
    """Fill y (n, L, H, P)."""
    n, heads, size, width = slab.shape
    memory = slab.memory
    state = memory.get("state", n, size, heads * width).zero_()
    for c, part in enumerate(slab.parts):
        inputs = slab.inputs(c, "inputs")
        q = inputs.shape[1]
        carried = memory.get("carried", n, q, heads * width)
        torch.bmm(slab.C[:, part], state, out=carried)
        products = slab.products(c)
        torch.mul(slab.x[:, part], D.unsqueeze(-1), out=y[:, part])
        for h in range(heads):
            weights = slab.matrix(c, h).mul_(products)
            out = torch.bmm(weights, inputs[:, :, h], out=memory.get("out", n, q, width))
            out.addcmul_(carried.view(n, q, heads, width)[:, :, h], slab.start[c, :, :q, h, None])
            y[:, part, h].addcmul_(out, slab.rest[c, :, :q, h, None])
        if c + 1 < len(slab.parts):
            slab.advance(c, state, inputs)


def _passing(pairs: Tensor, memory: _Memory) -> Tensor:
    """(n, q, q) of pairs (i, j) → (n, q − 1): for k = 1 … q − 1 the sum over j < k ≤ i."""
    upto = torch.cumsum(pairs, 2, out=memory.get("upto", *pairs.shape))
    return upto.tril_(-1).sum(1)[:, :-1]


def _scan_backward(slab: _Slab, D: Tensor, dy: Tensor, gradients: _Gradients) -> Tensor:
    """Fill the gradients of a slab; returns that of D (H,) in float64.

    The gradient of step k's log decay sums over all that passes it: pairs j < k ≤ i inside the chunk, the start
    state to outputs i ≥ k, inputs j < k to the end state, and the start state to the end state. Nothing else is
    added and taken away again: where decay is fast what passes is next to nothing, the rest is not, and a long
    step multiplies what rounding leaves.
    """
    n, heads, size, width = slab.shape
    memory = slab.memory
    states = memory.get("states", len(slab.parts), n, size, heads * width)
    states[0].zero_()
    for c in range(len(slab.parts) - 1):
        states[c + 1].copy_(states[c])
        slab.advance(c, states[c + 1], slab.inputs(c, "inputs"))
    dstate = memory.get("dstate", n, size, heads * width).zero_()
    dD = torch.zeros_like(D, dtype=torch.float64)
    for c in range(len(slab.parts) - 1, -1, -1):
        part = slab.parts[c]
        q = part.stop - part.start
        B, C = slab.B[:, part], slab.C[:, part]
        start, end, rest, step = (t[c, :, :q, :, None] for t in (slab.start, slab.end, slab.rest, slab.step))
        shape, flat = (n, q, heads, width), (n, q, heads * width)
        inputs = slab.inputs(c, "inputs")
        g = torch.mul(dy[:, part], rest, out=memory.get("g", *shape))
        scratch = memory.get("scratch", *shape)
        direct = torch.mul(dy[:, part], slab.x[:, part], out=scratch)
        dD += direct.sum(-1).sum((0, 1), dtype=torch.float64)

        # between the inputs and the state at the chunk's end
        torch.mul(inputs, end, out=scratch)
        torch.bmm(scratch.view(flat), dstate.transpose(1, 2), out=(dB := memory.get("dB", n, q, size)))
        dinputs = memory.get("dinputs", *shape)
        torch.bmm(B, dstate, out=dinputs.view(flat))
        dinputs.mul_(end)
        arriving = torch.mul(dinputs, inputs, out=scratch).sum(-1)
        kept = torch.mul(dstate, states[c], out=memory.get("kept", n, size, heads * width))
        passing = kept.view(n, size, heads, width).sum((1, 3)) * slab.total[c, :, 0]

        # between the state at the chunk's start and the outputs
        carried = torch.bmm(C, states[c], out=memory.get("carried", *flat)).view(shape)
        torch.mul(g, start, out=scratch)
        torch.bmm(scratch.view(flat), states[c].transpose(1, 2), out=(dC := memory.get("dC", n, q, size)))
        dstate.view(n, size, heads, width).mul_(slab.total[c].unsqueeze(-1))
        dstate.baddbmm_(C.transpose(1, 2), scratch.view(flat))
        crossing = carried.mul_(scratch).sum(-1)

        # inside the chunk
        products = slab.products(c)
        inside = memory.get("inside", n, q, heads).zero_()
        dproducts = memory.get("dproducts", n, q, q).zero_()
        for h in range(heads):
            matrix = slab.matrix(c, h)
            dweights = memory.get("dweights", n, q, q)
            torch.bmm(g[:, :, h], inputs[:, :, h].transpose(1, 2), out=dweights)
            dproducts.add_(dweights.mul_(matrix))
            through = torch.bmm(
                matrix.mul_(products).transpose(1, 2), g[:, :, h], out=memory.get("through", n, q, width)
            )
            dinputs[:, :, h].add_(through)
            inside[:, 1:, h].copy_(_passing(dweights.mul_(products), memory))
        dproducts.tril_()
        torch.baddbmm(dB, dproducts.transpose(1, 2), C, out=dB)
        torch.baddbmm(dC, dproducts, B, out=dC)
        gradients.B[:, part].copy_(dB)
        gradients.C[:, part].copy_(dC)

        decay = crossing.double().flip(1).cumsum(1).flip(1).add_(passing.unsqueeze(1)).add_(inside)
        decay[:, 1:].add_(arriving[:, :-1].double().cumsum(1))
        gradients.decay[:, part].copy_(decay)
        torch.mul(dy[:, part], D.unsqueeze(-1), out=gradients.x[:, part]).addcmul_(dinputs, step)
        dsteps = dinputs.mul_(slab.x[:, part]).sum(-1)
        torch.div(dsteps, slab.rest[c, :, :q], out=gradients.dt[:, part])
    return dD
