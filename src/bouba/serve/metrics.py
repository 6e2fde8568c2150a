"""Counts of requests in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds


class Metrics:
    """What was answered since the server began."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: Counter[str] = Counter()
        self.buckets: Counter[tuple[str, float]] = Counter()
        self.remembered = 0
        self.in_flight = 0

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        self.requests[method, route, status] += 1
        self.seconds[route] += seconds  # type: ignore[assignment]
        for bound in BOUNDS:
            if seconds <= bound:
                self.buckets[route, bound] += 1

    def text(self, *, waiting: int, rows: Mapping[str, int]) -> str:
        """All of it.

        Args:
            waiting: questions under way or waiting. rows: of each run.
        """
        counts: Counter[str] = Counter()
        for (_, route, _), count in self.requests.items():
            counts[route] += count
        lines = [*_head("bouba_requests_total", "counter", "Requests that were answered.")]
        lines += [
            _line("bouba_requests_total", count, method=method, route=route, status=status)
            for (method, route, status), count in sorted(self.requests.items())
        ]
        lines += _head("bouba_request_seconds", "histogram", "Seconds until the answer.")
        for route, count in sorted(counts.items()):
            for bound in BOUNDS:
                lines.append(_line("bouba_request_seconds_bucket", self.buckets[route, bound], route=route, le=bound))
            lines.append(_line("bouba_request_seconds_bucket", count, route=route, le="+Inf"))
            lines.append(_line("bouba_request_seconds_sum", round(self.seconds[route], 6), route=route))
            lines.append(_line("bouba_request_seconds_count", count, route=route))
        lines += _head("bouba_requests_in_flight", "gauge", "Requests that are being answered.")
        lines.append(_line("bouba_requests_in_flight", self.in_flight))
        lines += _head("bouba_questions_waiting", "gauge", "Questions under way or waiting.")
        lines.append(_line("bouba_questions_waiting", waiting))
        lines += _head("bouba_remembered_answers_total", "counter", "Searches answered from memory.")
        lines.append(_line("bouba_remembered_answers_total", self.remembered))
        lines += _head("bouba_rows", "gauge", "Rows of each run.")
        lines += [_line("bouba_rows", count, run=name) for name, count in sorted(rows.items())]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> Iterable[str]:
    return (f"# HELP {name} {text}", f"# TYPE {name} {kind}")


def _line(name: str, value: float, **labels: object) -> str:
    escaped = (str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for text in labels.values())
    inside = ",".join(f'{label}="{text}"' for label, text in zip(labels, escaped, strict=True))
    return f"{name}{{{inside}}} {value}" if labels else f"{name} {value}"
