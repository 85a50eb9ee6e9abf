from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from webapp.accounts.models import AuditEvent
from webapp.curation import actions
from webapp.curation.actions import LabelConflict, NewLabel
from webapp.curation.models import Label, SavedFilter
from webapp.traces.models import LabelValue, Trace

KEEP = NewLabel(LabelValue.KEEP, rating=4, tags=" carry sum ", note="clean")
REJECT = NewLabel(LabelValue.REJECT)


def test_a_label_is_added_and_the_trace_shows_it(traces, annotator, now):
    label, added = actions.add_label(traces[0].pk, KEEP, seen=None, by=annotator, at=now)

    trace = Trace.objects.get(pk=traces[0].pk)
    assert added
    assert (trace.label, trace.rating, trace.tags) == ("keep", 4, " carry sum ")
    assert (label.note, label.created_by, label.created_at) == ("clean", annotator, now)


def test_a_change_is_a_new_row_and_the_old_one_stays(traces, annotator, now):
    first, _ = actions.add_label(traces[0].pk, KEEP, seen=None, by=annotator, at=now)
    actions.add_label(traces[0].pk, REJECT, seen=first.pk, by=annotator, at=now + timedelta(seconds=1))

    assert [row.value for row in Label.objects.filter(trace=traces[0]).order_by("pk")] == ["keep", "reject"]
    trace = Trace.objects.get(pk=traces[0].pk)
    assert (trace.label, trace.rating, trace.tags) == ("reject", None, "")


@pytest.mark.parametrize("knows_it", [True, False])
def test_the_same_label_again_adds_nothing(traces, annotator, now, knows_it):
    first, _ = actions.add_label(traces[0].pk, KEEP, seen=None, by=annotator, at=now)
    again, added = actions.add_label(traces[0].pk, KEEP, seen=first.pk if knows_it else None, by=annotator, at=now)

    assert (again, added) == (first, False)
    assert Label.objects.count() == 1


def test_a_second_person_agreeing_is_a_row_of_its_own(traces, annotator, other_annotator, now):
    first, _ = actions.add_label(traces[0].pk, KEEP, seen=None, by=annotator, at=now)
    _, added = actions.add_label(traces[0].pk, KEEP, seen=first.pk, by=other_annotator, at=now)

    assert added
    assert Label.objects.count() == 2


def test_labels_that_meet_conflict_and_nothing_is_lost(traces, annotator, other_annotator, now):
    theirs, _ = actions.add_label(traces[0].pk, KEEP, seen=None, by=other_annotator, at=now)
    with pytest.raises(LabelConflict) as conflict:
        actions.add_label(traces[0].pk, REJECT, seen=None, by=annotator, at=now)

    assert conflict.value.newest == theirs
    assert Label.objects.get() == theirs
    assert Trace.objects.get(pk=traces[0].pk).label == "keep"


def test_a_label_that_was_seen_but_is_not_of_this_trace_conflicts(traces, annotator, now):
    elsewhere, _ = actions.add_label(traces[1].pk, KEEP, seen=None, by=annotator, at=now)
    with pytest.raises(LabelConflict) as conflict:
        actions.add_label(traces[0].pk, KEEP, seen=elsewhere.pk, by=annotator, at=now)
    assert conflict.value.newest is None


def test_a_bad_id_is_refused(annotator, now):
    with pytest.raises(Trace.DoesNotExist):
        actions.add_label(404, KEEP, seen=None, by=annotator, at=now)


def test_the_database_refuses_a_rating_of_six(traces, annotator, now):
    with pytest.raises(IntegrityError), transaction.atomic():
        actions.add_label(traces[0].pk, NewLabel(LabelValue.KEEP, rating=6), seen=None, by=annotator, at=now)


def test_a_filter_is_saved_once_and_audited(annotator, now):
    first = actions.save_filter(name="wrong ones", query="verdict=wrong", by=annotator, at=now)
    again = actions.save_filter(name="wrong ones", query="verdict=wrong", by=annotator, at=now)

    assert first == again
    assert AuditEvent.objects.filter(action="filter.saved").count() == 1


def test_a_name_that_is_taken_is_refused_in_words(annotator, now):
    actions.save_filter(name="mine", query="verdict=wrong", by=annotator, at=now)
    with pytest.raises(ValueError, match=r"mine.*exists"):
        actions.save_filter(name="mine", query="verdict=correct", by=annotator, at=now)
    assert SavedFilter.objects.get().query == "verdict=wrong"


def test_only_its_owner_or_an_editor_deletes_a_filter(annotator, other_annotator, editor, now):
    saved = actions.save_filter(name="a", query="", by=annotator, at=now)
    with pytest.raises(PermissionDenied):
        actions.delete_filter(saved, by=other_annotator)
    assert SavedFilter.objects.exists()

    actions.delete_filter(saved, by=editor)
    assert not SavedFilter.objects.exists()
    own = actions.save_filter(name="b", query="", by=annotator, at=now)
    actions.delete_filter(own, by=annotator)
    assert AuditEvent.objects.filter(action="filter.deleted").count() == 2
