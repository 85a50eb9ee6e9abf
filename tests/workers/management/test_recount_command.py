"""`manage.py recount_runs`: counts of runs made anew, from the traces and from the token store."""

import io

import pytest
from django.core.management import CommandError, call_command

from tests.webapp.traces import factories as make
from webapp.traces.models import RunProblem, RunRouting, Trace

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store"
    run, problem = make.run("counted"), make.problem()
    for n in range(2):
        make.trace(run, problem, "<think>12 and 30</think>42", sample_index=n, tokens=True)
    return run


def recount(*options):
    out = io.StringIO()
    call_command("recount_runs", *options, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_counts_that_went_wrong_are_put_right(run):
    before = list(RunRouting.objects.order_by("layer").values_list("layer", "tokens", "counts"))
    RunProblem.objects.update(samples=77)
    RunRouting.objects.update(tokens=1)
    make.run("other")
    assert recount() == "counted: 2 traces.\nother: 0 traces.\n"
    assert RunProblem.objects.get(run=run).samples == 2
    assert recount("--run", "counted", "--load") == "counted: 2 traces, 2 with routing.\n"
    assert list(RunRouting.objects.order_by("layer").values_list("layer", "tokens", "counts")) == before


def test_it_says_what_it_cannot_do(run):
    with pytest.raises(CommandError, match="no run named 'nothing'"):
        recount("--run", "nothing")
    Trace.objects.update(store_path="runs/9/gone.parquet")
    with pytest.raises(CommandError, match="no shard"):
        recount("--load")
    assert RunRouting.objects.filter(run=run).count() == len(make.LAYERS)  # what was there stays
