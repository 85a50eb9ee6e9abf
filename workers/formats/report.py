"""The report of an import, filled while it runs; as JSON it is what `--report` writes and the report page shows."""

from collections import Counter
from dataclasses import dataclass, field

from workers.formats.records import Rejected

MAX_LISTED = 1_000  # rejected rows kept by name; their number is always right
MAX_FIELDS = 200


@dataclass(slots=True)
class Report:
    """Counts of rows: `read` = imported + duplicates + rejected_count."""

    format: str = ""
    read: int = 0
    imported: int = 0
    duplicates: int = 0
    rejected_count: int = 0
    rejected: list[dict[str, object]] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)

    def reject(self, row: Rejected) -> None:
        """Count a row that was not understood."""
        self.rejected_count += 1
        if len(self.rejected) < MAX_LISTED:
            self.rejected.append({"line": row.line, "why": row.why[:500]})

    def lose(self, words: tuple[str, ...]) -> None:
        """Count what of a row has no place or was replaced."""
        for word in words:
            self.lost[word if word in self.lost or len(self.lost) < MAX_FIELDS else "other fields"] += 1

    def as_json(self) -> dict[str, object]:
        """The report as JSON; `rejected_count` is there because the list ends at a thousand."""
        return {
            "format": self.format,
            "read": self.read,
            "imported": self.imported,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "rejected_count": self.rejected_count,
            "lost": dict(self.lost),
        }

    @classmethod
    def from_json(cls, stored: dict[str, object]) -> "Report":
        """The report as an earlier slice of the work left it."""
        report = cls()
        for name in report.as_json().keys() & stored.keys():
            value = stored[name]
            setattr(report, name, Counter(value) if name == "lost" and isinstance(value, dict) else value)
        return report
