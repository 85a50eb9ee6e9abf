"""A stack of layers against the same layers out of single kernels, by the bit."""

# ruff: noqa: PLR0917  # a layer reads many tensors

import pytest
import torch

from inference import native
from inference.native.stack import LayerWeights, Shape, Stack

pytestmark = pytest.mark.usefixtures("kernels")

BLOCK = 16
SHAPE = Shape(
    hidden=48, heads=4, nope=8, rope=4, rank=24, value=10, q_rank=0, experts=16, n_group=4, topk_group=2, top_k=3, sigmoid=True,
    group_kind=2, norm=True, inter=20, block_size=BLOCK, eps=1e-6, latent_eps=1e-6, scale=0.3, gate_scale=2.5,
)  # fmt: skip
SHAPES = {
    "V3": SHAPE._replace(q_rank=12),
    "V2": SHAPE._replace(sigmoid=False, group_kind=1, norm=False, gate_scale=16.0),
    "V2-Lite": SHAPE._replace(sigmoid=False, group_kind=0, n_group=1, topk_group=1, norm=False, gate_scale=1.0),
}


def random(*shape):
    return torch.randn(shape) / shape[-1] ** 0.5


def layer(s, *, routed, shared=True):
    width = s.heads * (s.nope + s.rope)
    pack_all = lambda w: torch.stack([native.pack(each) for each in w])  # noqa: E731
    inner = 30 if shared or not routed else 0
    return LayerWeights(
        attention_norm=torch.rand(s.hidden) + 0.5,
        w_in=native.pack(random((s.q_rank or width) + s.rank + s.rope, s.hidden)),
        q_norm=torch.rand(s.q_rank) + 0.5 if s.q_rank else None,
        w_qb=native.pack(random(width, s.q_rank)) if s.q_rank else None,
        kv_norm=torch.rand(s.rank) + 0.5,
        w_uk=native.pack_heads(random(s.heads, s.rank, s.nope)),
        w_uv=native.pack_heads(random(s.heads, s.value, s.rank)),
        w_o=native.pack(random(s.hidden, s.heads * s.value)),
        mlp_norm=torch.rand(s.hidden) + 0.5,
        gate=native.pack(random(s.experts, s.hidden)) if routed else None,
        bias=torch.randn(s.experts) if routed and s.sigmoid else None,
        experts_in=pack_all(random(s.experts, 2 * s.inter, s.hidden)) if routed else None,
        experts_out=pack_all(random(s.experts, s.hidden, s.inter)) if routed else None,
        shared_in=native.pack(random(2 * inner, s.hidden)) if inner else None,
        shared_out=native.pack(random(s.hidden, inner)) if inner else None,
        shared_inter=inner,
    )


def one_by_one(s, layers, final_norm, x, turn, slots, tables, lengths, pools):
    routed, width = [], s.heads * (s.nope + s.rope)
    for w, pool in zip(layers, pools, strict=True):
        first = s.q_rank or width
        joined = native.linear(native.rms_norm(x, w.attention_norm, s.eps), w.w_in, first + s.rank + s.rope)
        native.latents(joined[:, first:], w.kv_norm, s.latent_eps, turn, slots, pool)
        q = joined[:, :first]
        if s.q_rank:
            q = native.linear(native.rms_norm(q, w.q_norm, s.latent_eps), w.w_qb, width)
        q = native.rotate_queries(q, s.heads, s.nope, turn)
        seen = native.mla_decode(q, w.w_uk, w.w_uv, pool, tables, lengths, BLOCK, s.scale, s.value)
        x = native.linear(seen, w.w_o, s.hidden, None, x)
        normed = native.rms_norm(x, w.mlp_norm, s.eps)
        shared = (w.shared_in, w.shared_out, w.shared_inter) if w.shared_inter else None
        if w.gate is None:
            x = native.swiglu(normed, *shared, x)
            continue
        logits = native.linear(normed, w.gate, s.experts)
        rule = int(s.sigmoid), s.group_kind, s.n_group, s.topk_group, s.top_k, s.norm, s.gate_scale
        routed.append(native.gate(logits, w.bias, *rule, detail=True))
        x = native.experts(normed, *routed[-1][:2], w.experts_in, w.experts_out, s.inter, x, shared)
    x = x if final_norm is None else native.rms_norm(x, final_norm, s.eps)
    return x, *(torch.stack(each) for each in zip(*routed, strict=True))


class Case:
    """Tokens of sequences of different lengths, and a stack of a dense layer and two routed ones, one of them without a shared expert."""

    def __init__(self, s, rows, final=True):
        self.shape = s
        self.layers = [layer(s, routed=False), layer(s, routed=True), layer(s, routed=True, shared=False)]
        self.final = torch.rand(s.hidden) + 0.5 if final else None
        self.stack = Stack(s, self.layers, self.final)
        self.x = torch.randn(rows, s.hidden)
        self.turn = torch.polar(torch.ones(rows, s.rope // 2), torch.randn(rows, s.rope // 2))
        self.lengths = torch.randint(1, 300, (rows,))
        blocks = 19
        self.tables = torch.randperm(rows * blocks).view(rows, blocks).int()
        last = self.lengths - 1
        self.slots = self.tables.gather(1, (last // BLOCK)[:, None]).long()[:, 0] * BLOCK + last % BLOCK
        self.cached = [torch.randn(rows * blocks * BLOCK, s.rank + s.rope) for _ in self.layers]

    def run(self, rows=slice(None), *, detail=False):
        pools = [pool.clone() for pool in self.cached]
        out = self.stack(
            self.x[rows], self.turn[rows], self.slots[rows], self.tables[rows], self.lengths[rows], pools, detail=detail
        )
        return out, pools

    def expected(self):
        pools = [pool.clone() for pool in self.cached]
        out = one_by_one(
            self.shape, self.layers, self.final, self.x, self.turn, self.slots, self.tables, self.lengths, pools
        )
        return out, pools


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("rows", [1, 2, 7, 40])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_the_single_kernels(family, rows, threads):
    case, before = Case(SHAPES[family], rows, final=rows != 2), torch.get_num_threads()
    torch.set_num_threads(threads)
    out, pools = case.run(detail=True)
    torch.set_num_threads(before)
    expected, expected_pools = case.expected()
    for name, mine, theirs in zip(out._fields, out, expected, strict=True):
        assert torch.equal(mine, theirs), name
    assert all(torch.equal(a, b) for a, b in zip(pools, expected_pools, strict=True))


def test_without_detail_it_is_the_same_and_brings_none():
    case = Case(SHAPES["V3"], 5)
    plain, full = case.run()[0], case.run(detail=True)[0]
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], full[:3], strict=True))
    assert plain.entropy.numel() == plain.open_groups.numel() == 0


def test_a_token_does_not_depend_on_its_batch_mates():
    case = Case(SHAPES["V3"], 30)
    whole = case.run()[0]
    for row in (0, 13, 29):
        alone = case.run(slice(row, row + 1))[0]
        assert torch.equal(alone.hidden, whole.hidden[row : row + 1])
        assert torch.equal(alone.ids, whole.ids[:, row : row + 1])


def test_weights_that_do_not_fit_are_named():
    good = layer(SHAPE, routed=True)
    with pytest.raises(ValueError, match=r"layer 1: w_o must be \(3, 40, 16\)"):
        Stack(SHAPE, [good, good._replace(w_o=good.w_o[:, :39])], None)
    with pytest.raises(ValueError, match="layer 0: experts_in is missing"):
        Stack(SHAPE, [good._replace(experts_in=None)], None)
    with pytest.raises(ValueError, match="layer 0: shared_in is not expected"):
        Stack(SHAPE, [good._replace(shared_inter=0)], None)


def test_slots_and_tables_past_the_cache_are_refused():
    case = Case(SHAPE, 1)
    case.slots[0] = 19 * BLOCK
    with pytest.raises(RuntimeError, match="slots: 304 is not below 304"):
        case.run()
    case.slots[0], case.tables[0] = 0, 19
    with pytest.raises(RuntimeError, match="tables: block 19 is not below 19"):
        case.run()
