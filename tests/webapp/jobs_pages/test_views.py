"""The pages of jobs: the list, one with its progress, cancel and resume with who may."""

import uuid

import pytest
from django.urls import reverse

from tests.webapp.traces import factories
from webapp.jobs import actions, words
from webapp.jobs.models import Job, JobKind, JobState

pytestmark = pytest.mark.usefixtures("sent")


@pytest.fixture
def job(editor):
    return actions.create(
        JobKind.VERIFY,
        title="Verify first run",
        by=editor,
        args={"run_id": 1},
        queue="default",
        total=40,
        unit="traces",
    )


@pytest.fixture
def member(client, editor):
    client.force_login(editor)
    return client


def state_of(job):
    return Job.objects.get(pk=job.pk).state


def test_the_list_is_newest_first_and_filters(member, editor, job):
    other = actions.create(JobKind.EXPORT, title="Export v1", by=editor, args={}, queue="default")
    actions.cancel(other.pk, by=editor)
    titles = lambda **query: [row.title for row in member.get(reverse("jobs:list"), query).context["page"]]  # noqa: E731
    assert titles() == ["Export v1", "Verify first run"]
    assert titles(state="cancelled") == ["Export v1"]
    assert titles(kind="verify") == ["Verify first run"]
    assert titles(kind="verify", state="cancelled") == []
    assert len(titles(state="nonsense")) == 2


def test_the_list_is_paged(member, editor):
    for n in range(51):
        actions.create(JobKind.VERIFY, title=f"job {n}", by=editor, args={}, queue="default")
    assert len(member.get(reverse("jobs:list")).context["page"]) == 50
    assert len(member.get(reverse("jobs:list"), {"page": 2}).context["page"]) == 1


def test_a_running_job_shows_its_progress_and_polls(member, job):
    held = actions.claim(job.pk)
    actions.progress(held, done=10, message="10 of 40 judged")
    page = member.get(reverse("jobs:detail", args=[job.pk]))
    text = page.content.decode()
    assert "10 / 40 traces" in text
    assert 'value="0.2500"' in text
    assert f'hx-get="{reverse("jobs:fragment", args=[job.pk])}"' in text
    assert "10 of 40 judged" in text


def test_the_fragment_is_a_part_and_ends_the_polling_when_the_job_has_ended(member, job):
    held = actions.claim(job.pk)
    fragment = reverse("jobs:fragment", args=[job.pk])
    running = member.get(fragment)
    assert running.status_code == 200
    assert "<html" not in running.content.decode()
    actions.finish(held, result={"judged": 38, "skipped": 2}, message="38 judged")
    ended = member.get(fragment)
    assert ended.status_code == 286
    assert "hx-get" not in ended.content.decode()
    assert "38 judged" in ended.content.decode()


def test_a_failed_job_says_why_and_can_be_resumed(member, job, sent):
    actions.fail(actions.claim(job.pk), "Line 17 is cut off. Repair the file, then resume.")
    text = member.get(reverse("jobs:detail", args=[job.pk])).content.decode()
    assert "Line 17 is cut off" in text
    assert reverse("jobs:resume", args=[job.pk]) in text
    member.post(reverse("jobs:resume", args=[job.pk]))
    assert state_of(job) == JobState.QUEUED


def test_cancelling_a_waiting_job_ends_it_and_doing_it_again_says_so(member, job):
    address = reverse("jobs:cancel", args=[job.pk])
    assert member.post(address).url == reverse("jobs:detail", args=[job.pk])
    assert state_of(job) == JobState.CANCELLED
    assert "already ended" in member.post(address, follow=True).content.decode()


def test_a_running_job_is_asked_to_stop_and_shows_it(member, job):
    actions.claim(job.pk)
    text = member.post(reverse("jobs:cancel", args=[job.pk]), follow=True).content.decode()
    assert state_of(job) == JobState.RUNNING
    assert "stopping" in text
    assert f'action="{reverse("jobs:cancel", args=[job.pk])}"' not in text


def test_a_running_job_cannot_be_resumed(member, job):
    actions.claim(job.pk)
    page = member.post(reverse("jobs:resume", args=[job.pk]), follow=True)
    assert "Only a failed or cancelled job" in page.content.decode()
    assert state_of(job) == JobState.RUNNING


@pytest.mark.parametrize("name", ["jobs:cancel", "jobs:resume"])
def test_others_jobs_are_not_for_viewers_and_annotators(client, annotator, viewer, job, name):
    for user in (viewer, annotator):
        client.force_login(user)
        assert client.post(reverse(name, args=[job.pk])).status_code == 403
        assert client.get(reverse(name, args=[job.pk])).status_code == 405
        assert "<form" not in client.get(reverse("jobs:fragment", args=[job.pk])).content.decode()
    assert state_of(job) == JobState.QUEUED


def test_ones_own_job_may_be_cancelled_without_being_an_editor(client, viewer):
    own = actions.create(JobKind.SELECT, title="preview", by=viewer, args={}, queue="default")
    client.force_login(viewer)
    client.post(reverse("jobs:cancel", args=[own.pk]))
    assert state_of(own) == JobState.CANCELLED


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_way_back_never_leads_away(member, job, target):
    assert member.post(reverse("jobs:cancel", args=[job.pk]), {"next": target}).url == reverse(
        "jobs:detail", args=[job.pk]
    )


def test_the_way_back_may_be_a_page_of_ours(member, job):
    assert member.post(reverse("jobs:cancel", args=[job.pk]), {"next": "/runs/"}).url == "/runs/"


def test_an_unknown_job_is_not_found(member):
    for name in ("jobs:detail", "jobs:fragment"):
        assert member.get(reverse(name, args=[uuid.UUID(int=1)])).status_code == 404


def test_a_job_links_what_it_filled(member, job):
    run = factories.run("filled", job=job)
    assert member.get(reverse("jobs:detail", args=[job.pk])).context["filled"] == [
        ("filled", reverse("traces:run", args=[run.pk]))
    ]


def test_a_hostile_message_is_text(member, job):
    actions.fail(actions.claim(job.pk), "<script>alert(1)</script>")
    assert "<script>alert" not in member.get(reverse("jobs:detail", args=[job.pk])).content.decode()
    assert "<script>alert" not in member.get(reverse("jobs:list")).content.decode()


def test_an_imports_report_is_told_in_figures_zero_included():
    report = {
        "format": "gsm8k",
        "read": 10,
        "imported": 7,
        "duplicates": 0,
        "rejected": [{"line": 3, "why": "cut"}],
        "lost": {"x": 2, "y": 1},
    }
    facts = dict(words.result_facts({"report": report, "set_id": 4}))
    assert facts == {
        "Format": "gsm8k",
        "Records read": 10,
        "Imported": 7,
        "Had already": 0,
        "Rejected": 1,
        "Fields without a place": 2,
    }
