"""The import stage: files of problems or traces, and procedural problems, into the database.

Rows are saved in chunks; the chunk, the place in the file and the report so far are one transaction, so an import that was stopped
anywhere goes on where it was, and a chunk done twice adds nothing. Left out: judging. What a source says of its own traces is provenance;
verdicts are the verifiers' business.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.problems.actions import NewProblem, add_problems
from webapp.problems.models import Problem, ProblemSet
from webapp.problems.uploads import path_of, remove
from webapp.tags import canonical
from webapp.traces.actions import add_traces
from webapp.traces.import_actions import keep_report, keep_size
from webapp.traces.models import Run, Trace
from webapp.traces.records import NewFinding, NewTrace
from workers.formats.reading import AUTO, Reader
from workers.formats.records import Kind, ProblemRecord, Rejected, TraceRecord
from workers.formats.report import Report
from workers.parsing import parse
from workers.preview import preview

CHUNK_ROWS = 500
CHUNK_CHARACTERS = 8_000_000

Record = ProblemRecord | TraceRecord | Rejected


def run_problems(job: Job, deadline: float) -> bool:
    """Import problems, or make procedural ones; see the module. Raises ValueError, in words, when nothing could be imported."""
    if job.args.get("preview"):
        return _preview(job, "problems")
    target = _Problems(ProblemSet.objects.get(pk=job.args["set_id"]))
    if "procedural" in job.args:
        return _import(job, deadline, _procedural(job), target, None)
    return _import_file(job, deadline, "problems", target)


def run_traces(job: Job, deadline: float) -> bool:
    """Import traces; see the module. Raises ValueError, in words, when nothing could be imported."""
    if job.args.get("preview"):
        return _preview(job, "traces")
    run = Run.objects.select_related("problem_set").get(pk=job.args["run_id"])
    return _import_file(job, deadline, "traces", _Traces(run))


def _preview(job: Job, kind: Kind) -> bool:
    job.result = preview(path_of(job.args["file"]), kind, str(job.args.get("format", AUTO)), str(job.args["name"]))
    return True


def _import_file(job: Job, deadline: float, kind: Kind, target: "_Problems | _Traces") -> bool:
    path = path_of(job.args["file"])
    if not path.exists():
        raise ValueError(_("The file %(name)s is no longer there; upload it again.") % {"name": job.args["name"]})
    with closing(Reader(path, kind, str(job.args.get("format", AUTO)), str(job.args["name"]))) as reader:
        done = _import(job, deadline, reader, target, reader)
    if done:
        remove(job.args["file"])
    return done


def _import(
    job: Job, deadline: float, records: Iterable[Record], target: "_Problems | _Traces", reader: Reader | None
) -> bool:
    """Save all records after the place that the job holds; True when there are no more."""
    state = job.args.get("state") or {}
    place = int(state.get("position", 0))
    report = Report.from_json(state.get("report") or {})
    report.format = reader.format.name if reader and reader.format else "procedural" if reader is None else ""
    try:
        for chunk in _chunks(job, records, target, place):
            place += len(chunk)
            _save(job, chunk, target, report, place)
            done = reader.position if reader else place
            jobs.progress(job, done=done, message=_("%(rows)s rows read") % {"rows": f"{place:,}"})
            if time.monotonic() >= deadline:
                return False
    finally:
        target.settle()
    _conclude(job, target, report)
    return True


def _chunks(job: Job, records: Iterable[Record], target: "_Problems | _Traces", place: int) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    weight = 0
    failure: ValueError | None = None
    try:
        for number, record in enumerate(records, start=1):
            if number <= place:  # saved by an earlier slice
                target.pass_over(record)
                if not number % 20_000:
                    jobs.progress(job, done=job.progress_done)  # renews the lease
                continue
            chunk.append(record)
            weight += len(record.completion) + len(record.prompt) if isinstance(record, TraceRecord) else 1_000
            if len(chunk) >= CHUNK_ROWS or weight >= CHUNK_CHARACTERS:
                yield chunk
                chunk, weight = [], 0
    except ValueError as error:  # the file is damaged from here on; what came before it is saved first
        failure = error
    if chunk:
        yield chunk
    if failure:
        raise ValueError(
            _("%(why)s. The rows before that place are imported.") % {"why": str(failure).rstrip(".")}
        ) from failure


@transaction.atomic
def _save(job: Job, chunk: list[Record], target: "_Problems | _Traces", report: Report, place: int) -> None:
    good = [record for record in chunk if not isinstance(record, Rejected)]
    new = target.save(good)
    report.read += len(chunk)
    report.imported += new
    report.duplicates += len(good) - new
    for record in chunk:
        if isinstance(record, Rejected):
            report.reject(record)
        else:
            report.lose(record.lost)
    target.keep_report(report)
    job.args["state"] = {"position": place, "report": report.as_json()}
    if not Job.objects.filter(pk=job.pk, lease_token=job.lease_token).update(args=job.args):
        raise jobs.JobStopped(str(job.pk))  # undoes the chunk: whoever has the job now saves it


def _conclude(job: Job, target: "_Problems | _Traces", report: Report) -> None:
    if not report.imported and not report.duplicates:
        first = report.rejected[0] if report.rejected else {"line": 1, "why": _("there is no record")}
        words = _("Nothing was imported: none of %(count)s rows could be read. Line %(line)s: %(why)s")
        raise ValueError(words % {"count": report.rejected_count, "line": first["line"], "why": first["why"]})
    job.result = {"report": report.as_json(), **target.result}
    words = _("%(imported)s imported, %(duplicates)s duplicates, %(rejected)s rejected")
    numbers = {"imported": report.imported, "duplicates": report.duplicates, "rejected": report.rejected_count}
    job.message = words % {name: f"{number:,}" for name, number in numbers.items()}


def _procedural(job: Job) -> Iterator[Record]:
    from workers.trainers.families import generate  # noqa: PLC0415  # seconds to import, and only these imports need it

    wanted = job.args["procedural"]
    split = wanted["split"] if wanted["split"] in ("train", "heldout") else None
    for number, item in enumerate(generate(wanted["family"], wanted["size"], wanted["seed"], split), start=1):
        yield ProblemRecord(
            number, item.prompt, item.answer, verifier=item.verifier, verifier_args=item.verifier_args,
            source=f"procedural:{item.family}", licence="Apache-2.0",
            tags=(item.family, f"level-{item.difficulty}", item.split),
            metadata={"family": item.family, "seed": item.seed, "index": item.index},
        )  # fmt: skip


@dataclass
class _Problems:
    """Where imported problems go."""

    problem_set: ProblemSet

    def pass_over(self, record: Record) -> None:
        """Nothing to remember: a problem's key says all."""

    def save(self, records: Sequence[Record]) -> int:
        """Save problems; returns how many were new."""
        problems = [_new_problem(record) for record in records if isinstance(record, ProblemRecord)]
        before = Problem.objects.filter(problem_set=self.problem_set).count()
        add_problems(self.problem_set, problems)
        return Problem.objects.filter(problem_set=self.problem_set).count() - before

    def keep_report(self, report: Report) -> None:
        """A problem set has no report; the job's is enough."""

    def settle(self) -> None:
        """A problem set counts its problems itself."""

    @property
    def result(self) -> dict[str, object]:
        return {"set_id": self.problem_set.pk}


@dataclass
class _Traces:
    """Where imported traces go. `seen` counts equal rows of this file: the second one is another sample, not a duplicate."""

    run: Run
    seen: Counter[bytes] = field(default_factory=Counter)

    def pass_over(self, record: Record) -> None:
        """Count a row that an earlier slice saved."""
        if isinstance(record, TraceRecord):
            self._fingerprint(record, _new_problem(record.problem).key)

    def save(self, records: Sequence[Record]) -> int:
        """Save traces with their problems, segments and findings; returns how many were new."""
        assert self.run.problem_set is not None  # noqa: S101  # start_trace_import gives every import run one
        traces = [record for record in records if isinstance(record, TraceRecord)]
        problems = [_new_problem(record.problem) for record in traces]
        ids = add_problems(self.run.problem_set, problems)
        prints = [self._fingerprint(trace, problem.key) for trace, problem in zip(traces, problems, strict=True)]
        known = set(Trace.objects.filter(run=self.run, fingerprint__in=prints).values_list("fingerprint", flat=True))
        last = dict(
            Trace.objects.filter(run=self.run, problem_id__in=set(ids))
            .values_list("problem_id")
            .annotate(last=Max("sample_index"))
        )
        samples = []
        for trace, problem_id, fingerprint in zip(traces, ids, prints, strict=True):
            if fingerprint not in known:
                last[problem_id] = last.get(problem_id, -1) + 1
                samples.append(_new_trace(trace, problem_id, last[problem_id], fingerprint))
        return add_traces(self.run, samples)

    def keep_report(self, report: Report) -> None:
        keep_report(self.run.pk, report.as_json())

    def settle(self) -> None:
        keep_size(self.run.pk)

    @property
    def result(self) -> dict[str, object]:
        return {"run_id": self.run.pk}

    def _fingerprint(self, trace: TraceRecord, problem_key: str) -> str:
        """SHA-256 of content, the source's id and which of the equal rows this is."""
        content = [problem_key, trace.prompt, trace.reasoning, trace.completion, trace.source_id]
        digest = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode())
        short = digest.digest()[:12]
        self.seen[short] += 1
        digest.update(str(self.seen[short]).encode())
        return digest.hexdigest()


def _new_problem(record: ProblemRecord) -> NewProblem:
    return NewProblem(
        record.prompt, record.answer, record.messages, record.verifier, record.verifier_args, record.source, record.licence,
        canonical(list(record.tags)), record.metadata, record.key_extra,
    )  # fmt: skip


def _new_trace(record: TraceRecord, problem_id: int, sample_index: int, fingerprint: str) -> NewTrace:
    parsed = parse(record.prompt, record.reasoning, record.completion, record.finish_reason)
    return NewTrace(
        problem_id, sample_index, record.prompt, record.completion, parsed.segments, timezone.now(),
        findings=[NewFinding(f.kind, f.field, f.start, f.end, f.note) for f in parsed.findings],
        reasoning=record.reasoning, finish_reason=record.finish_reason, fingerprint=fingerprint,
        model_name=record.model_name, seed=record.seed, provenance=record.provenance, metadata=record.metadata,
    )  # fmt: skip
