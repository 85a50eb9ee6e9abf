"""Training: the loss falls, a resumed run gives the same numbers, the log is whole, experts stay alive."""

from dataclasses import replace

import pytest
import torch

from workers.trainers.batching import Document, pad
from workers.trainers.files import read_lines
from workers.trainers.network import TrainedNetwork
from workers.trainers.pretrain import Pretraining, after_next
from workers.trainers.recipe import Recipe
from workers.trainers.shape import Shape
from workers.trainers.text import build_tokenizer

SMALL = Shape(hidden_size=32, intermediate_size=64, moe_intermediate_size=16, kv_lora_rank=16, qk_nope_head_dim=8,
              qk_rope_head_dim=8, v_head_dim=8, num_hidden_layers=3)  # fmt: skip
RECIPE = Recipe(
    seed=5,
    steps=20,
    documents=6,
    groups=2,
    easy=4,
    horizon=20,
    cooldown=8,
    lr=1e-2,
    warmup=5,
    log_every=4,
    save_every=8,
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(seed=7, items_per_family=200)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _run(tokenizer, folder, recipe=RECIPE):
    return Pretraining(TrainedNetwork(SMALL, recipe.seed), tokenizer, recipe, folder)


def _same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def test_the_loss_falls_in_twenty_steps(tokenizer, tmp_path):
    run = _run(tokenizer, tmp_path)
    run.run()
    assert run.step == 20
    assert run.log[0]["loss"] - run.log[-1]["loss"] > 1.5
    assert run.log[0]["mtp_loss"] - run.log[-1]["mtp_loss"] > 1.5
    assert all(torch.isfinite(parameter).all() for parameter in run.network.model.parameters())


def test_a_resumed_run_gives_the_same_numbers(tokenizer, tmp_path):
    whole = _run(tokenizer, tmp_path / "whole")
    whole.run()
    _run(tokenizer, tmp_path / "parts").run(until=10)  # in the middle of a logged interval
    second = _run(tokenizer, tmp_path / "parts")
    assert second.resume()
    assert second.step == 10
    second.run()
    assert _same(whole.network.model.state_dict(), second.network.model.state_dict())
    timeless = [[{k: v for k, v in row.items() if k != "tokens_per_s"} for row in run.log] for run in (whole, second)]
    assert timeless[0] == timeless[1]


def test_rows_logged_after_the_saved_state_are_dropped_on_resume(tokenizer, tmp_path):
    run = _run(tokenizer, tmp_path)
    run.run(until=8)
    for _ in range(4):
        run.train_step()
    run._log_row()  # a run killed here has logged step 12 and saved step 8
    assert [row["step"] for row in read_lines(run.log_path)] == [4, 8, 12]
    again = _run(tokenizer, tmp_path)
    again.resume()
    assert [row["step"] for row in again.log] == [4, 8]


def test_nothing_to_resume_is_said(tokenizer, tmp_path):
    assert _run(tokenizer, tmp_path).resume() is False


def test_the_log_states_speed_load_and_bias(tokenizer, tmp_path):
    run = _run(tokenizer, tmp_path)
    run.run(until=4)
    row = read_lines(run.log_path)[-1]
    assert 4 * 6 * 40 < row["tokens"] < 4 * 6 * 320
    assert row["tokens_per_s"] > 0
    assert len(row["max_violation"]) == len(row["bias_min"]) == 3  # two routed layers and the MTP
    assert row["bias_max"][0] == pytest.approx(4 * RECIPE.bias_rate, abs=1e-4)


def test_biases_move_without_gradient_and_rest_at_the_end(tokenizer, tmp_path):
    run = _run(tokenizer, tmp_path, replace(RECIPE, bias_until=0.9))
    run.train_step()
    biases = run.network.biases()
    assert {abs(round(float(each), 6)) for bias in biases for each in bias} <= {0.0, 0.001}
    assert not any(bias.requires_grad for bias in biases)
    run.step = 19  # the last step of twenty is past 90 %
    before = [bias.clone() for bias in biases]
    run.train_step()
    assert all(torch.equal(a, b) for a, b in zip(before, run.network.biases(), strict=True))


def test_the_mtp_learns_the_token_after_the_next_where_that_is_of_the_completion():
    rows = pad([Document([10, 11, 12, 13, 14], trained=2), Document([20, 21, 22], trained=1)])
    after = after_next(rows)
    assert after.inputs.tolist() == [[10, 11, 12], [20, 21, 22]]
    assert after.targets.tolist() == [[12, 13, 14], [22, 1, 1]]
    assert after.weights.tolist() == [[0, 1, 1], [1, 0, 0]]


def test_an_mtp_that_weighs_nothing_leaves_the_main_model_as_it_was(tokenizer, tmp_path):
    recipe = replace(RECIPE, mtp_weight=0.0, mtp_weight_late=0.0)
    runs = [
        Pretraining(
            TrainedNetwork(replace(SMALL, num_nextn_predict_layers=depth), 5), tokenizer, recipe, tmp_path / name
        )
        for depth, name in ((0, "alone"), (1, "both"))
    ]
    losses = [[run.train_step() for _ in range(3)] for run in runs]
    assert [each.main for each in losses[0]] == pytest.approx([each.main for each in losses[1]], abs=1e-6)
    assert losses[0][0].mtp == 0.0
    assert losses[1][0].mtp > 5
    alone, both = (run.network.model.state_dict() for run in runs)
    assert all(torch.allclose(tensor, both[name], atol=1e-6) for name, tensor in alone.items())


def test_an_mtp_that_weighs_something_moves_the_main_model(tokenizer, tmp_path):
    states = []
    for weight in (0.0, 0.3):
        run = _run(tokenizer, tmp_path / str(weight), replace(RECIPE, mtp_weight=weight))
        run.train_step()
        states.append(run.network.model.state_dict())
    name = "model.layers.0.self_attn.o_proj.weight"
    assert not torch.allclose(states[0][name], states[1][name], atol=1e-6)


def test_the_mtp_weighs_less_in_the_last_third():
    recipe = Recipe(steps=900)
    assert [recipe.mtp_weight_at(step) for step in (0, 599, 600, 899)] == [0.3, 0.3, 0.1, 0.1]


def test_the_rate_warms_up_and_falls_to_its_floor():
    recipe = Recipe(steps=1000, horizon=1000, cooldown=0, warmup=100, lr=2e-3, lr_floor=0.05)
    assert recipe.lr_at(0) == pytest.approx(2e-5)
    assert recipe.lr_at(100) == pytest.approx(2e-3)
    assert recipe.lr_at(550) == pytest.approx(2e-3 * (0.05 + 0.95 / 2))
    assert recipe.lr_at(1000) == pytest.approx(1e-4)


def test_a_run_ended_early_falls_in_a_line_from_where_the_cosine_was():
    short, whole = (Recipe(steps=n, horizon=1000, cooldown=c, warmup=100) for n, c in ((600, 200), (1000, 0)))
    assert [short.lr_at(step) for step in (50, 399)] == [whole.lr_at(step) for step in (50, 399)]
    assert short.lr_at(400) == pytest.approx(whole.lr_at(400))
    assert short.lr_at(500) == pytest.approx((whole.lr_at(400) + short.lr_at(600)) / 2)
    assert short.lr_at(600) == pytest.approx(short.lr * short.lr_floor)


def test_a_run_shorter_than_its_cooldown_still_has_a_rate():
    recipe = Recipe(steps=20, cooldown=1200)
    assert all(0 < recipe.lr_at(step) <= recipe.lr for step in range(21))


def test_problems_grow_harder():
    recipe = Recipe(steps=1000, easy=100)
    assert [recipe.hardest_at(step) for step in (0, 99, 100, 199, 200, 999)] == [1, 1, 2, 2, 3, 3]
    assert Recipe(easy=0).hardest_at(0) == 3


def test_a_recipe_survives_its_file_and_bad_ones_are_refused(tmp_path):
    RECIPE.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == RECIPE
    (tmp_path / "bad.json").write_text('{"betas": [0.9, 0.9], "remarks": [], "epochs": 3}', encoding="utf-8")
    with pytest.raises(ValueError, match="epochs"):
        Recipe.load(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="documents must be at least 1, got 0"):
        Recipe(documents=0)
