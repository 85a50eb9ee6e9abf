"""Stage: a dataset version written in a trainer's format, with manifest and card, into the store.

The files are made in a folder that nobody sees and appear all at once; only then does the export's row name them. An export
is not cut into slices: its rows are read and written in one pass, with progress, and a new attempt starts from nothing.
Left out: the formats (workers/formats/write_*).
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from django.utils import timezone
from django.utils.translation import gettext as _
from fsspec.implementations.local import LocalFileSystem

from webapp.curation.dataset_actions import finish_export
from webapp.curation.models import DatasetVersion, Export
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.traces import shardfile
from workers.formats.write_card import card
from workers.formats.write_files import WRITERS, described
from workers.formats.write_rows import stored_hash
from workers.formats.write_sft import FORMS, Form, has_inner_tag

BATCH = 200  # rows read and written together


def run(job: Job, deadline: float) -> bool:
    """Write export args["export_id"]. Raises ValueError when the version's rows are missing, damaged or do not fit the format."""
    export = Export.objects.select_related("version__dataset").filter(pk=job.args.get("export_id")).first()
    if export is None:
        raise ValueError(_("There is no export %(id)s any more.") % {"id": job.args.get("export_id")})
    if not export.path:
        _write(job, export)
    job.result = {"export_id": export.pk, "path": export.path, "files": export.files}
    job.message = _("%(rows)s rows of %(version)s written as %(format)s.") % {
        "rows": export.version.row_count, "version": export.version, "format": export.format,
    }  # fmt: skip
    return True


def copy_to(export: Export, folder: Path) -> None:
    """Copy a finished export's files to a folder that does not exist or is empty; they appear there all at once.

    Raises ValueError when the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        whole = Path(temporary) / "export"
        whole.mkdir()
        for entry in export.files:
            filesystem, full = shardfile.locate(f"{export.path}/{entry['name']}")
            filesystem.get_file(full, str(whole / entry["name"]))
        whole.rename(folder)  # takes the place of an empty folder


def _write(job: Job, export: Export) -> None:
    """Make the files in a local folder, then let them appear in the store and name them in the row."""
    path = f"exports/{export.pk}-{export.format}"
    filesystem, target = shardfile.locate(path)
    is_local = isinstance(filesystem, LocalFileSystem)
    if is_local:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=Path(target).parent if is_local else None, prefix=".export-") as temporary:
        folder = Path(temporary) / "export"
        folder.mkdir()
        files = write_folder(export.version, FORMS[export.format], folder, job=job, at=timezone.now())
        jobs.progress(job, done=export.version.row_count)  # ours still? what follows makes it visible
        if is_local:
            if Path(target).exists():  # of an attempt that ended before its row named it
                shutil.rmtree(target)
            folder.rename(target)
        else:
            for entry in files:
                filesystem.put_file(str(folder / entry["name"]), f"{target}/{entry['name']}")
    finish_export(export, path=path, files=files)


def write_folder(version: DatasetVersion, form: Form, folder: Path, *, job: Job, at: datetime) -> list[dict[str, Any]]:
    """Write rows, manifest and card into `folder`; returns [{"name", "bytes", "sha256"}]."""
    data = folder / f"train.{form.file_type}"
    done = inner_tags = 0
    with WRITERS[form.file_type](data, form.schema) as writer:
        for rows in read_batches(version):
            writer.write([form.make(row) for row in rows])
            inner_tags += sum(has_inner_tag(row) for row in rows)
            done += len(rows)
            jobs.progress(job, done=done, total=version.row_count)
    if done != version.row_count:
        raise ValueError(
            _("The rows of %(version)s are damaged: %(n)s of %(all)s are there.")
            % {"version": version, "n": done, "all": version.row_count}
        )
    export = {
        "format": form.name,
        "created": at.isoformat(),
        "columns": form.schema.names,
        "files": [described(data)],
        "rows_with_inner_tags": inner_tags,
    }
    manifest = folder / "manifest.json"
    manifest.write_text(
        json.dumps({**version.manifest, "export": export}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    readme = folder / "README.md"
    readme.write_text(card(version.manifest, form, data_file=data.name, inner_tags=inner_tags), encoding="utf-8")
    return [described(path) for path in (data, manifest, readme)]


def read_batches(version: DatasetVersion) -> Iterator[list[dict[str, Any]]]:
    """The frozen rows of a version, some at a time. Raises ValueError when the file is not the one that was frozen."""
    with shardfile.OpenShard(version.rows_path) as file:
        _check(file, version)
        for batch in file.iter_batches(batch_size=BATCH):
            yield batch.to_pylist()


def _check(file: pq.ParquetFile, version: DatasetVersion) -> None:
    if stored_hash(file) != version.content_hash:
        raise ValueError(
            _("The rows of %(version)s in the store are not those that were frozen.") % {"version": version}
        )
