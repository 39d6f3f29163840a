"""All selectors on all setups of the published web, as a Markdown table.

python -m benchmarks.selection.published_web [--draws 10]
"""

from __future__ import annotations

import argparse
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "published_web.md")
    arguments = parser.parse_args()
    text = table(run_benchmark(draws=DrawSettings(draws=arguments.draws)))
    print(text)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(text)


if __name__ == "__main__":
    main()
