"""All selectors on all setups of the published web, as a Markdown table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks import harness
from taskweb.selectors.benchmark import DrawSettings
from taskweb.workflows.benchmarking import BenchmarkResult, run_benchmark


def table(result: BenchmarkResult) -> str:
    """NDCG / Regret@5 of each selector in each setup; the mean with 95% intervals over targets and the spread over draws."""
    selectors = list(dict.fromkeys(row.selector for row in result.rows))
    setups = list(dict.fromkeys(row.setup for row in result.rows))
    at = {(row.selector, row.setup): row for row in result.rows}
    lines = ["| setup | " + " | ".join(selectors) + " |", "|---" * (len(selectors) + 1) + "|"]
    for setup in setups:
        cells = []
        for selector in selectors:
            row = at[selector, setup]
            spread = f" ± {row.draw_spread(0):.1f}" if row.draw_spread(0) > 1e-9 else ""
            cells.append(f"{row.figure(0):.1f}{spread} / {row.figure(1):.2f}")
        lines.append(f"| {setup} | " + " | ".join(cells) + " |")
    mean = [at[selector, "mean"] for selector in selectors]
    intervals = ["{:.1f} to {:.1f} / {:.2f} to {:.2f}".format(*row.interval(0), *row.interval(1)) for row in mean]
    lines.append("| 95% of the mean | " + " | ".join(intervals) + " |")
    gains = [
        ""
        if row is at["popularity", "mean"]
        else "{:+.1f} ({:+.1f} to {:+.1f})".format(*row.difference(at["popularity", "mean"], 0))
        for row in mean
    ]
    lines.append("| NDCG over popularity | " + " | ".join(gains) + " |")
    return "\n".join(lines) + "\n"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options given."""
    return harness.parse(harness.parser(__doc__, __file__, draws=10, suffix=".md"), argv, quick={"draws": 1})


def main(argv: Sequence[str] | None = None) -> None:
    given = arguments(argv)
    text = table(run_benchmark(draws=DrawSettings(draws=given.draws)))
    print(text)
    harness.write_text(given.out, text)


if __name__ == "__main__":
    main()
