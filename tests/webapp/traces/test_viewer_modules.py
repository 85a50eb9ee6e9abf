"""The pure parts of the trace page's modules, with the server's own bytes and words as cases."""

import base64

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
      const tokens = new Tokens({ count: 5000, window: 1024, layers: window.layers, topK: window.top_k });
      tokens.windows[1] = window;
      const last = window.stop - 1;
      result = {
        start: window.start, stop: window.stop, layers: window.layers,
        ids: [...window.token_id], ends: [...window.text_end], logprob: [...window.logprob].map((v) => (isNaN(v) ? null : v)),
        experts: [0, 3].map((i) => window.layers.map((_, n) => tokens.experts(1024 + i, n))),
        strongest: tokens.strongest(1027, 1), absent: tokens.experts(last, 0), elsewhere: tokens.experts(5, 0),
        unknown: [tokens.isRouted(last), tokens.has(5), tokens.weightOf(1027, 0, 9999)],
      };
    """
    got = in_node({"tokens.js": ["decode", "Tokens"]}, code, base64.b64encode(body).decode())
    assert (got["start"], got["stop"], got["layers"]) == (1024, 1024 + len(arrays), layers)
    assert got["ids"] == arrays.token_id.tolist()
    assert got["ends"] == arrays.text_end.tolist()
    assert got["logprob"] == [None if np.isnan(v) else pytest.approx(float(v)) for v in arrays.logprob]
    for i, per_layer in zip((0, 3), got["experts"], strict=True):
        for n, chosen in enumerate(per_layer):
            pairs = zip(arrays.expert_ids[i, n].tolist(), arrays.gate_weights[i, n].astype(float).tolist(), strict=True)
            assert [(c["expert"], c["weight"]) for c in chosen] == sorted(pairs, key=lambda pair: -pair[1])
    assert got["strongest"] == got["experts"][1][1][0]
    assert got["absent"] == got["elsewhere"] == []
    assert got["unknown"] == [False, False, 0]


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
