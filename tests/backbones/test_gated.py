"""The compiled kernel against the same arithmetic in PyTorch: messages, sums and all gradients."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moma_app.backbones.gated import WIDTH, First, GatedTail, Rows, gated_messages
from moma_app.backbones.gated_kernel import without_native_kernels
from moma_app.backbones.registry import get_backbone
from moma_app.backbones.segments import EdgeIndex
from moma_app.errors import InputError
from moma_app.native import build
from moma_app.native.shares import split_rows

WIDE = 2 * WIDTH


def relative(ours, expected):
    return float((ours - expected).norm() / expected.norm().clamp_min(1e-12))


class Problem:
    """Random tables of some structures that share no rows."""

    def __init__(self, sizes, *, dense, hidden, weighted, x_width=64, scale=1.0, seed=0):
        random = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return (scale * torch.randn(*shape, generator=random)).requires_grad_()

        n_nodes = 3 * len(sizes)
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        pick = [owner * 3 + torch.randint(3, (len(owner),), generator=random) for _ in range(3)]
        ptr = torch.tensor([0, *sizes]).cumsum(0)
        self.rows = Rows(
            EdgeIndex(pick[0].sort().values, n_nodes, is_sorted=True),
            EdgeIndex(pick[1], n_nodes),
            None if dense else EdgeIndex(pick[2], n_nodes),
            ptr,
        )
        self.tensors = {"p": normal(n_nodes, WIDE), "q": normal(n_nodes, WIDE)}
        if dense:
            self.tensors |= {"x": normal(len(owner), x_width), "x_weight": normal(WIDE, x_width)}
        else:
            self.tensors["r"] = normal(n_nodes, WIDE)
        self.weights = normal(n_nodes, WIDTH) if weighted else None
        torch.manual_seed(seed)
        self.tail = GatedTail(hidden=hidden)
        with torch.no_grad():
            for parameter in self.tail.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.1)

    def messages(self, summed):
        return gated_messages(self.rows, First(**self.tensors), self.tail, self.weights, summed=summed)

    def run(self, summed):
        """Messages, and the gradients of a sum over them with unlike factors."""
        leaves = [*self.tensors.values(), *self.tail.parameters()]
        leaves += [] if self.weights is None else [self.weights]
        result = self.messages(summed)
        factors = torch.linspace(-1, 2, result.numel()).reshape(result.shape)
        return result.detach(), torch.autograd.grad((result * factors).sum(), leaves)


def assert_kernel_agrees(problem, summed, tolerance=2e-5):
    ours, our_gradients = problem.run(summed)
    with without_native_kernels():
        expected, gradients = problem.run(summed)
    assert relative(ours, expected) < tolerance
    for mine, theirs in zip(our_gradients, gradients, strict=True):
        assert mine.shape == theirs.shape
        assert relative(mine, theirs) < tolerance


def test_this_machine_has_the_kernel():
    """Otherwise the comparisons below compare PyTorch with itself: the tests need a C compiler."""
    assert build.kernels().library is not None, build.kernels().about


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("x_width", [None, 31, 64])
def test_messages_and_gradients(summed, hidden, weighted, x_width):
    problem = Problem(
        [40, 1, 70, 9], dense=x_width is not None, hidden=hidden, weighted=weighted, x_width=x_width or 64
    )
    assert_kernel_agrees(problem, summed)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 110), min_size=1, max_size=5).filter(any),
    dense=st.booleans(),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    threads=st.integers(1, 4),
)
def test_any_sizes_any_magnitudes_any_threads(sizes, dense, scale, threads):
    """Structures without rows, blocks cut anywhere, gates that saturate."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_kernel_agrees(
            Problem(sizes, dense=dense, hidden=True, weighted=True, scale=scale), summed=True, tolerance=2e-4
        )
    finally:
        torch.set_num_threads(before)


def test_huge_inputs_stay_finite():
    problem = Problem([60], dense=False, hidden=False, weighted=False, scale=1e4)
    ours, gradients = problem.run(summed=True)
    assert all(tensor.isfinite().all() for tensor in (ours, *gradients))


def test_a_nan_is_not_hidden():
    problem = Problem([10], dense=False, hidden=True, weighted=False)
    with torch.no_grad():
        problem.tensors["q"][:] = torch.nan
    assert problem.messages(summed=True).isnan().any()


def test_the_same_threads_give_the_same_bits():
    problem = Problem([200, 50, 90], dense=True, hidden=True, weighted=True)
    first, second = (problem.run(summed=True) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


def test_frozen_parameters_get_no_gradient():
    problem = Problem([30, 20], dense=True, hidden=True, weighted=True)
    problem.tail.requires_grad_(requires_grad=False)
    problem.tensors["x_weight"].requires_grad_(requires_grad=False)
    problem.messages(summed=True).sum().backward()
    assert problem.tensors["p"].grad is not None
    assert all(parameter.grad is None for parameter in problem.tail.parameters())


def test_a_gradient_of_the_gradient():
    """As a loss on forces needs it."""
    problem = Problem([20, 30], dense=False, hidden=True, weighted=True)

    def second_order():
        result = problem.messages(summed=True).square().sum()
        (first,) = torch.autograd.grad(result, problem.tensors["p"], create_graph=True)
        return torch.autograd.grad(first.square().sum(), [problem.tensors["q"], *problem.tail.parameters()])

    ours = second_order()
    with without_native_kernels():
        expected = second_order()
    for mine, theirs in zip(ours, expected, strict=True):
        assert relative(mine, theirs) < 1e-4


def test_stacked_modules_are_those_one_by_one():
    problems = [Problem([50, 30], dense=True, hidden=True, weighted=True, seed=0) for _ in range(3)]
    for number, problem in enumerate(problems):
        with torch.no_grad():
            problem.tensors["p"] += number
            problem.tail.core.weight *= 1 + number
    stacked = problems[0]
    expected = torch.stack([problem.messages(summed=True).detach() for problem in problems])
    tensors = {**stacked.tensors, "p": torch.stack([problem.tensors["p"] for problem in problems]).detach()}
    core = torch.stack([problem.tail.core.weight for problem in problems]).detach()

    class Messages(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tail = stacked.tail

        def forward(self):
            return gated_messages(stacked.rows, First(**tensors), self.tail, stacked.weights, summed=True)

    for context in (torch.no_grad(), without_native_kernels()):
        with context:
            ours = torch.func.functional_call(Messages(), {"tail.core.weight": core}, ())
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@given(lengths=st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any), n=st.integers(1, 8))
def test_shares_cover_all_rows_once_and_end_at_bounds(lengths, n):
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    shares = split_rows(bounds, n)
    assert shares[0][0] == 0
    assert shares[-1][1] == sum(lengths)
    assert all(a[1] == b[0] for a, b in pairwise(shares))
    assert all(begin < end and end in bounds for begin, end in shares)
    assert len(shares) <= n
    longest = max(end - begin for begin, end in shares)
    assert longest <= sum(lengths) / n + max(lengths)


class TestBuild:
    def test_is_kept_and_found_again(self, tmp_path):
        path = build.build(tmp_path)
        changed = path.stat().st_mtime_ns
        assert build.build(tmp_path) == path
        assert path.stat().st_mtime_ns == changed
        assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == [path.name]

    def test_without_a_compiler_pytorch_does_it_and_the_reason_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
        found = build.kernels()
        assert found.library is None
        assert "no C compiler" in found.about
        assert "apt install gcc" in found.about
        chgnet = get_backbone("chgnet")
        assert chgnet.advice(torch.device("cpu")) == found.about
        assert chgnet.advice(torch.device("cuda")) is None
        problem = Problem([10], dense=False, hidden=True, weighted=False)
        assert problem.messages(summed=True).isfinite().all()

    def test_a_failing_compiler_leaves_nothing_behind(self, tmp_path, monkeypatch):
        broken = tmp_path / "broken-cc"
        broken.write_text('#!/bin/sh\ntest "$1" = --version && exit 0\nexit 1\n')
        broken.chmod(0o755)
        monkeypatch.setenv("CC", str(broken))
        monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
        assert "cannot be built" in build.kernels().about
        assert not list((tmp_path / "home").rglob("*.so"))

    def test_demanded_but_not_to_be_had_is_an_error(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.setenv("MOMA_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("MOMA_KERNEL", "native")
        with pytest.raises(InputError, match="no C compiler"):
            build.kernels()

    def test_nothing_is_advised_where_nothing_is_missing(self):
        assert get_backbone("chgnet").advice(torch.device("cpu")) is None

    def test_can_be_switched_off(self, monkeypatch):
        monkeypatch.setenv("MOMA_KERNEL", "torch")
        assert build.kernels().library is None
        assert get_backbone("chgnet").advice(torch.device("cpu")) is None
