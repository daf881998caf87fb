"""Gated messages and their gradient by the compiled kernel."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from moma_app.backbones.messages import WIDTH, Parts, Rows, messages
from moma_app.native.build import kernels
from moma_app.native.shares import Share, run_shares

WIDE = 2 * WIDTH
PADS = (32, 64)
"""Widths that the kernel pads row features to."""
PARAMETERS = Parts._fields[Parts._fields.index("core_weight") :]
VECTORS = {name for name in PARAMETERS if name.endswith(("bias", "norm_weight"))}

_INTEGERS = ("begin", "end", "sum", "x_width", "x_pad")
_POINTERS = (
    *("i", "j", "k", "p", "q", "r", "x", "x_weight", "hidden", "hidden_bias", "norm_weight", "norm_bias", "w"),
    *("out", "hidden_back", "x_back", "grad_out"),
    *("grad_p", "grad_q", "grad_r", "grad_x", "grad_w", "grad_parameters"),
)  # fmt: skip
_enabled = True


class _Work(ctypes.Structure):
    """The C structure ``Work``, field by field."""

    _fields_ = (*((n, ctypes.c_int64) for n in _INTEGERS), *((n, ctypes.c_void_p) for n in _POINTERS))


@contextmanager
def without_native_kernels() -> Iterator[None]:
    """Let PyTorch compute all messages in this block, for comparison."""
    global _enabled  # noqa: PLW0603 - a switch of the process, like torch.no_grad
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def native_messages(rows: Rows, parts: Parts, *, summed: bool) -> Tensor | None:
    """Compute messages as :func:`moma_app.backbones.messages.messages` does.

    Returns:
        ``None`` where the kernel does not apply: another device or type, no compiler, no rows.
    """
    if not _enabled or not len(rows) or parts.p.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return None
    present = [tensor for tensor in parts if tensor is not None]
    if any(tensor.dtype != torch.float32 for tensor in present) or kernels().library is None:
        return None
    depths = [
        len(t) for name, t in zip(Parts._fields, parts, strict=True) if t is not None and _stacked(name, t)
    ]
    if not depths:
        return _Messages.apply(rows, summed, *parts)  # type: ignore[no-untyped-call, no-any-return]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in present):
        return None  # modules are stacked for encoding only
    results = torch.empty(depths[0], rows.i.n_nodes if summed else len(rows), WIDTH)
    for module, result in enumerate(results):
        _forward(rows, summed, _one_of(parts, module), result)
    return results


def _stacked(name: str, tensor: Tensor) -> bool:
    return tensor.dim() == (2 if name in VECTORS else 3)


def _one_of(parts: Parts, module: int) -> Parts:
    return Parts._make(
        t[module] if t is not None and _stacked(name, t) else t
        for name, t in zip(Parts._fields, parts, strict=True)
    )


class _Messages(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Rows, summed: bool, *tensors: Tensor | None) -> Tensor:
        ctx.rows, ctx.summed = rows, summed
        ctx.present = [tensor is not None for tensor in tensors]
        ctx.save_for_backward(*(tensor for tensor in tensors if tensor is not None))
        return _forward(rows, summed, Parts(*tensors))  # type: ignore[arg-type]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        parts = Parts._make(next(saved) if present else None for present in ctx.present)
        needed = ctx.needs_input_grad[2:]
        by = _differentiable_backward if torch.is_grad_enabled() else _backward
        return None, None, *by(ctx.rows, ctx.summed, parts, grad, needed)


class _Call:
    """Arguments of the kernel for one set of tables, which it keeps alive while C works on them."""

    def __init__(self, rows: Rows, summed: bool, parts: Parts) -> None:
        self.parts = parts
        self.tensors: dict[str, Tensor] = {"i": rows.i.index, "j": rows.j.index}
        self.numbers = {"sum": int(summed), "x_width": 0, "x_pad": PADS[-1]}
        # The kernel wants core and gate with zero mean, see centred().
        self.has_hidden = parts.core_weight is not None
        for name, table in (("p", parts.p), ("q", parts.q), ("r", parts.r)):
            self.add(name, table if self.has_hidden or table is None else centred(table, -1))
        self.add("w", parts.weights)
        self.add("k", None if rows.k is None else rows.k.index)
        if parts.x is not None and parts.x_weight is not None:
            width = parts.x.shape[1]
            pad = next(pad for pad in PADS if pad >= width)
            self.numbers |= {"x_width": width, "x_pad": pad}
            self.add("x", parts.x)
            self.x_weight = parts.x_weight if self.has_hidden else centred(parts.x_weight, 0)
            self.add("x_weight", functional.pad(self.x_weight.T, (0, 0, 0, pad - width)))
        if self.has_hidden:
            self.hidden = centred(self.joined("core_weight", "gate_weight"), 0)
            self.add("hidden", torch.cat([half.T for half in torch.split(self.hidden, WIDTH)]))
            self.add("hidden_bias", centred(self.joined("core_bias", "gate_bias"), 0))
        self.add("norm_weight", self.joined("core_norm_weight", "gate_norm_weight"))
        self.add("norm_bias", self.joined("core_norm_bias", "gate_norm_bias"))

    def joined(self, core: str, gate: str) -> Tensor:
        return torch.cat([getattr(self.parts, core), getattr(self.parts, gate)])

    def add(self, name: str, tensor: Tensor | None) -> None:
        if tensor is not None:
            self.tensors[name] = tensor.detach().contiguous()

    def run(self, function: str, shares: Sequence[Share], parameters: Tensor | None = None) -> None:
        pointers = {name: tensor.data_ptr() for name, tensor in self.tensors.items()}
        works = [
            _Work(
                begin=begin,
                end=end,
                grad_parameters=None if parameters is None else parameters[number].data_ptr(),
                **self.numbers,
                **pointers,
            )
            for number, (begin, end) in enumerate(shares)
        ]
        run_shares(getattr(kernels().library, function), [ctypes.byref(work) for work in works])


def centred(tensor: Tensor, dim: int) -> Tensor:
    """Take the mean out of core and gate, the halves of a dimension of length 128.

    A layer norm begins by subtracting the mean of the linear layer before it, (I - 11ᵀ/64) (W s + b):
    done once to W and b, it need not be done to every row. The projection is its own transpose, so
    the gradient of W is the centred gradient of the centred W.
    """
    at = dim % tensor.dim()
    shape = (*tensor.shape[:at], 2, WIDTH, *tensor.shape[at + 1 :])
    halves = tensor.detach().reshape(shape)
    return (halves - halves.mean(at + 1, keepdim=True)).reshape(tensor.shape)


def _forward(rows: Rows, summed: bool, parts: Parts, out: Tensor | None = None) -> Tensor:
    call = _Call(rows, summed, parts)
    if out is None:
        out = torch.empty(rows.i.n_nodes if summed else len(rows), WIDTH)
    if summed:
        out.zero_()
    call.add("out", out)
    call.run("moma_gated_forward", rows.shares_by_sum)
    return out


def _backward(
    rows: Rows, summed: bool, parts: Parts, grad: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    call = _Call(rows, summed, parts)
    need = {name for name, wanted in zip(Parts._fields, needed, strict=True) if wanted}
    grads: dict[str, Tensor] = {}
    call.add("grad_out", grad)
    tables = {"p": "grad_p", "q": "grad_q", "r": "grad_r", "weights": "grad_w"}
    for name in need & tables.keys():
        grads[name] = torch.zeros_like(getattr(parts, name), memory_format=torch.contiguous_format)
        call.add(tables[name], grads[name])
    if "x" in need and parts.x_weight is not None:
        padded = torch.empty(len(rows), WIDTH)
        width = call.numbers["x_width"]
        grads["x"] = padded[:, :width]
        call.add("grad_x", padded)
        call.add("x_back", functional.pad(call.x_weight, (0, WIDTH - width)))
    if call.has_hidden:
        call.add("hidden_back", call.hidden)
    shares = rows.shares_by_structure
    parameters = None
    if need & {"x_weight", *PARAMETERS}:
        parameters = torch.zeros(len(shares), 2 * WIDTH * WIDTH + 3 * WIDE + WIDE * call.numbers["x_pad"])
    call.run("moma_gated_backward", shares, parameters)
    if parameters is not None:
        grads |= _parameter_gradients(parameters.sum(0), call)
    if not call.has_hidden:
        grads |= {name: centred(grads[name], -1) for name in {"p", "q", "r"} & grads.keys()}
    return [grads[name] if name in need else None for name in Parts._fields]


def _parameter_gradients(flat: Tensor, call: _Call) -> dict[str, Tensor]:
    """Cut the kernel's buffer, laid out as its source says, into the parameters' gradients."""
    pad = call.numbers["x_pad"]
    pieces = iter(torch.split(flat, [2 * WIDTH * WIDTH, WIDE, WIDE, WIDE, WIDE * pad]))
    pairs = [("core_weight", "gate_weight"), ("core_bias", "gate_bias")]
    pairs += [("core_norm_weight", "gate_norm_weight"), ("core_norm_bias", "gate_norm_bias")]
    grads: dict[str, Tensor] = {}
    for (core, gate), piece in zip(pairs, pieces, strict=False):
        both = piece.view(WIDE, -1).squeeze(-1)
        grads[core], grads[gate] = torch.split(both if "norm" in core else centred(both, 0), WIDTH)
    x_weight = next(pieces).view(WIDE, pad)[:, : call.numbers["x_width"]]
    grads["x_weight"] = x_weight if call.has_hidden else centred(x_weight, 0)
    return grads


def _differentiable_backward(
    rows: Rows, summed: bool, parts: Parts, grad: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Compute the gradient by PyTorch, whose result has a gradient of its own (forces in a loss)."""
    # Views of their own: where one part was computed from another, its gradient must not be counted twice.
    own = Parts(*(None if tensor is None else tensor.view_as(tensor) for tensor in parts))  # type: ignore[arg-type]
    leaves = [tensor for tensor, wanted in zip(own, needed, strict=True) if wanted and tensor is not None]
    result = messages(rows, own, summed=summed)
    found = iter(torch.autograd.grad(result, leaves, grad, create_graph=True))
    return [next(found) if wanted else None for wanted in needed]
