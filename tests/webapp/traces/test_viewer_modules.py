"""The pure parts of the trace page's modules, with the server's own bytes and words as cases."""

import base64
import dataclasses

import numpy as np
import pytest

from tests.webapp.traces.factories import token_arrays
from webapp.traces import wire
from webapp.traces.tokenstore import ShardMeta


@pytest.mark.parametrize(("n_experts", "layers"), [(16, [1, 2, 3]), (300, [3, 4])])
def test_the_browser_reads_what_the_server_writes(in_node, n_experts, layers):
    arrays = token_arrays("What is 2+2? 𝒳", "<think>two and two</think>4", layers=layers, n_experts=n_experts)
    body = wire.encode(arrays, ShardMeta(layers, n_experts, 2), start=1024, count=5000)
    code = """
      const bytes = Uint8Array.from(atob(given), (char) => char.charCodeAt(0));
      const window = decode(bytes.buffer);
      const last = window.stop - window.start - 1;
      result = {
        start: window.start, stop: window.stop, layers: window.layers,
        ids: [...window.token_id], ends: [...window.text_end], logprob: [...window.logprob].map((v) => (isNaN(v) ? null : v)),
        experts: [0, 3].map((row) => everyLayer(window, row, window.layers.length, window.top_k).map((layer) => layer.experts)),
        last: everyLayer(window, last, window.layers.length, window.top_k),
      };
    """
    got = in_node({"tokens.js": ["decode", "everyLayer"]}, code, base64.b64encode(body).decode())
    assert (got["start"], got["stop"], got["layers"]) == (1024, 1024 + len(arrays), layers)
    assert got["ids"] == arrays.token_id.tolist()
    assert got["ends"] == arrays.text_end.tolist()
    assert got["logprob"] == [None if np.isnan(v) else pytest.approx(float(v)) for v in arrays.logprob]
    for i, per_layer in zip((0, 3), got["experts"], strict=True):
        assert per_layer == [strongest_first(arrays, i, n) for n in range(len(layers))]
    assert got["last"] == []


def strongest_first(arrays, i, n):
    pairs = zip(arrays.expert_ids[i, n].tolist(), arrays.gate_weights[i, n].astype(float).tolist(), strict=True)
    return [{"expert": expert, "weight": weight} for expert, weight in sorted(pairs, key=lambda pair: -pair[1])]


def test_a_layer_is_filled_window_by_window(in_node):
    """The second window of a layer alone: what it says of its tokens, and what is still to be asked for."""
    arrays = token_arrays("What is 2+2?", "<think>two and two</think>4")
    body = wire.encode(one_layer(arrays, 1), ShardMeta([2], 16, 2), start=64, count=200)
    code = """
      const bytes = Uint8Array.from(atob(given), (char) => char.charCodeAt(0));
      const layer = new Layer(200, 64, 2);
      layer.take(decode(bytes.buffer));
      const i = 67;
      const [top, other] = layer.experts(i);
      result = {
        experts: layer.experts(i), top: layer.top[i], topWeight: layer.topWeight(i), weights: [layer.weightOf(i, other.expert), layer.weightOf(i, 9999)],
        changed: layer.changed(i), first: layer.changed(64), missing: layer.missing(0, 200, 128), knows: layer.knows(64, 128),
        unrouted: [layer.isRouted(5), layer.experts(5), layer.topWeight(5)], extra: layer.extra("swapped", i), complete: layer.isComplete,
      };
    """
    got = in_node({"tokens.js": ["decode"], "layer.js": ["Layer"]}, code, base64.b64encode(body).decode())
    wanted = strongest_first(arrays, 3, 1)
    assert got["experts"] == wanted
    assert (got["top"], got["topWeight"]) == (wanted[0]["expert"], wanted[0]["weight"])
    assert got["weights"] == [wanted[1]["weight"], 0]
    assert got["changed"] == len(set(arrays.expert_ids[3, 1].tolist()) - set(arrays.expert_ids[2, 1].tolist()))
    assert got["first"] is None  # the token before is not known
    assert got["missing"] == [[0, 64], [128, 200]]
    assert (got["knows"], got["unrouted"], got["extra"], got["complete"]) == (True, [False, [], None], None, False)


def one_layer(arrays, n):
    part = slice(n, n + 1)
    return dataclasses.replace(arrays, expert_ids=arrays.expert_ids[:, part], gate_weights=arrays.gate_weights[:, part])


def test_scripts_by_unicode_property(in_node):
    given = [
        "the",
        " the",
        "等等",
        "かな",
        "カー",
        "한글",
        "да",
        "مرحبا",
        "12",
        "²",
        "x2",
        "Ω",
        "中a",
        "\n",
        "+=",
        "🙂",
    ]
    got = in_node(
        {"textkinds.js": ["scriptOf", "SCRIPTS"]}, "result = given.map((text) => SCRIPTS[scriptOf(text)]);", given
    )
    assert got == ["latin", "latin", "han", "kana", "kana", "hangul", "cyrillic", "arabic", "digits", "digits", "latin", "letters", "han",
                   "signs", "signs", "signs"]  # fmt: skip


def test_tokens_within_stretches_of_text(in_node):
    """Overlapping stretches: the last named wins; a place without extent is the token that holds it, the end the last token."""
    code = "result = [...within(given.ranges, Int32Array.from(given.starts), Int32Array.from(given.ends))];"
    given = {
        "starts": [0, 3, 3, 5, 9],
        "ends": [3, 3, 5, 9, 9],
        "ranges": [{"start": 2, "end": 6}, {"start": 4, "end": 5}],
    }
    assert in_node({"textkinds.js": ["within"]}, code, given) == [0, -1, 1, 0, -1]
    places = [{"start": 6, "end": 6}, {"start": 9, "end": 9}]
    assert in_node({"textkinds.js": ["within"]}, code, given | {"ranges": places}) == [-1, -1, -1, 0, 1]


def test_loops_are_what_comes_three_times_in_a_row(in_node):
    code = "result = given.map((ids) => [...loops(Int32Array.from(ids))].join(''));"
    phrase = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    got = in_node(
        {"textkinds.js": ["loops"]},
        code,
        [[0, *phrase * 3, 0], [0, *phrase * 2, 0], [5] * 10, [5] * 17, list(range(60))],
    )
    assert got == ["0" + "1" * 30 + "0", "0" * 22, "0" * 10, "1" * 17, "0" * 60]


def test_forking_is_above_the_80th_percentile_of_think_and_answer(in_node):
    code = """
      const entropy = Float32Array.from([NaN, 9, 9, ...Array.from({ length: 10 }, (_, n) => 10 - n)]);
      const spoken = Uint8Array.from(entropy, (_, i) => (i > 2 ? 1 : 0));
      result = [forkingAbove(entropy, spoken), forkingAbove(entropy, spoken.fill(0)) === Infinity];
    """
    assert in_node({"textkinds.js": ["forkingAbove"]}, code) == [9, True]


def test_arrays_begin_where_typed_arrays_may():
    for prompt in ("", "a", "ab cd", "1 2 3 4 5 6 7"):
        body = wire.encode(token_arrays(prompt, "x y"), ShardMeta([1, 2, 3], 16, 2), start=0, count=9)
        length = int.from_bytes(body[:4], "little")
        assert (length + 4) % 8 == 0


def test_code_points_are_found_in_utf16(in_node):
    code = "result = given.map((text) => { const p = codePoints(text); return [p.length, [...Array(p.length + 1).keys()].map(p.at)]; });"
    texts = ["", "abc", "a𝒳b", "中文", "👨\u200d👩"]
    got = in_node({"geometry.js": ["codePoints"]}, code, texts)
    for text, (length, places) in zip(texts, got, strict=True):
        assert length == len(text)
        assert places == [len(text[:i].encode("utf-16-le")) // 2 for i in range(len(text) + 1)]


@pytest.mark.parametrize(
    ("token", "position", "is_last", "part"),
    [
        ((0, 3), 0, False, [0, 3]),
        ((-4, 2), 0, False, [0, 2]),  # begins in the pane before
        ((8, 14), 8, False, [8, 10]),  # ends in the pane after
        ((-5, 0), 0, False, None),
        ((10, 12), 10, False, None),
        ((4, 4), 4, False, [4, 4]),  # no text of its own
        ((10, 10), 10, False, None),
        ((10, 10), 10, True, [10, 10]),  # the end of the trace
        ((3, 5), 5, False, [5, 5]),  # bytes of a character that the token before has shown
        ((3, 7), 5, False, [5, 7]),
    ],
)
def test_what_a_pane_of_ten_characters_shows_of_a_token(in_node, token, position, is_last, part):
    code = "result = share(given[0][0], given[0][1], given[1], 10, given[2]);"
    assert in_node({"geometry.js": ["share"]}, code, [token, position, is_last]) == part


def test_places_found_by_find(in_node):
    code = "result = given.map(([text, needle]) => places(text, needle));"
    cases = [
        ["The cat, the hat", "the"],
        ["a.b.c", "."],
        ["$x^2$ (", "("],
        ["İstanbul i", "i"],
        ["aaa", "aa"],
        ["x", ""],
    ]
    got = in_node({"geometry.js": ["places"]}, code, cases)
    assert got[:3] == [[[0, 3], [9, 12]], [[1, 2], [3, 4]], [[6, 7]]]
    assert got[4:] == [[[0, 2]], []]


def test_legends_end_in_round_numbers(in_node):
    code = "result = given.map(niceCeiling);"
    given = [0, -1, 0.13, 0.5, 1, 1.2, 2.1, 4.2, 7, 10, 11]
    assert in_node({"palette.js": ["niceCeiling"]}, code, given) == [1, 1, 0.15, 0.5, 1, 1.5, 3, 5, 10, 10, 15]
    code = "result = [quantile([3, NaN, 1, 2], 0.5), Number.isNaN(quantile([NaN], 0.5)), stepClass(0.5), stepClass(NaN), expertClass(35)];"
    assert in_node({"palette.js": ["quantile", "stepClass", "expertClass"]}, code) == [2, True, "s8", "", "x3"]


READING = {
    "price is $5 and $6 today": [("text", "price is $5 and $6 today")],
    "so $x^2$ holds": [("text", "so "), ("maths", "$x^2$"), ("text", " holds")],
    r"\[a\] \(b\) $$c$$": [("maths", r"\[a\]"), ("text", " "), ("maths", r"\(b\)"), ("text", " "), ("maths", "$$c$$")],
    r"cost \$4 $y$": [("text", r"cost \$4 "), ("maths", "$y$")],
    r"thus \boxed{\frac{1}{2}}.": [("text", "thus "), ("maths", r"\boxed{\frac{1}{2}}"), ("text", ".")],
    "```py\nx = '$a$'\n```\nend": [("code", "```py\nx = '$a$'\n```"), ("text", "\nend")],
    "~~~\nnever closed $a$": [("code", "~~~\nnever closed $a$")],
    r"\[ never closed": [("text", r"\[ never closed")],
    "$" + "x" * 3000 + "$": [("text", "$" + "x" * 3000 + "$")],
    r"\begin{align*}a&=b\end{align*}": [("maths", r"\begin{align*}a&=b\end{align*}")],
}


def test_the_reading_view_tells_mathematics_and_code_from_text(in_node):
    got = in_node({"reading.js": ["parts"]}, "result = given.map((text) => parts(text));", list(READING))
    for (text, wanted), found in zip(READING.items(), got, strict=True):
        assert [(part["kind"], part["text"]) for part in found] == wanted
        assert "".join(part["text"] for part in found) == text


def test_the_reading_view_loses_nothing_of_real_traces(in_node, shared_data):
    from tests.webapp.traces.factories import seed_rows

    texts = [row["raw"] for row in seed_rows(shared_data)]
    code = "result = given.map((text) => parts(text).map((part) => part.text).join('') === text);"
    assert all(in_node({"reading.js": ["parts"]}, code, texts))


def test_the_address_keeps_what_it_does_not_know(in_node):
    code = """
      const defaults = { view: "tokens", overlay: "expert", layer: 1, expert: "", token: null };
      const state = { view: "tokens", overlay: "gate", layer: 3, expert: 0, token: 57 };
      const search = write("?queue=set%3D2&overlay=entropy&view=reading", state, defaults);
      result = [search, read(search), write(search, defaults, defaults), carried("?overlay=gate&token=5&queue=x&pane=1&from=2"),
        read("?layer=-1&expert=abc&token=99999999999&view=other")];
    """
    assert in_node({"address.js": ["read", "write", "carried"]}, code) == [
        "?queue=set%3D2&overlay=gate&layer=3&expert=0&token=57",
        {"overlay": "gate", "layer": 3, "expert": 0, "token": 57},
        "?queue=set%3D2",
        "?overlay=gate",
        {},
    ]
