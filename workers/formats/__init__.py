"""File formats of problems and traces: reading, here; writing beside it. Plain libraries that know neither Django nor the models."""

from workers.formats.reading import AUTO, Reader, detect, formats_of, read_problems, read_traces
from workers.formats.records import ProblemRecord, Rejected, TraceRecord

__all__ = [
    "AUTO",
    "ProblemRecord",
    "Reader",
    "Rejected",
    "TraceRecord",
    "detect",
    "formats_of",
    "read_problems",
    "read_traces",
]
