"""Write the published multi-task results into the package as a small table of figures: multitask.csv.

    python scripts/build_multitask_table.py DATA [--out FILE]

DATA is the folder with multitask_results.csv and multitask_mixtures.json of the public research release of TaskWeb
(arXiv:2305.13256, CC BY 4.0): zero-shot accuracy of T5-XL trained on lists of source tasks, per template and seed. The table
has a row per named list and target: the mean over templates and seeds, and the sample standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

from taskweb.web.published.multitask_results import COLUMNS

TABLE = Path(__file__).parents[1] / "src" / "taskweb" / "web" / "published" / "figures" / "multitask.csv"


def table_rows(data: Path) -> list[dict[str, object]]:
    """A row per named list of sources and target, in the order of the release; figures rounded to 6 decimals."""
    lists = json.loads((data / "multitask_mixtures.json").read_text(encoding="utf-8"))
    measured: dict[tuple[str, frozenset[str]], list[dict[str, str]]] = defaultdict(list)
    with (data / "multitask_results.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            measured[row["target"], frozenset(row["sources"].split("+"))].append(row)
    rows = []
    for mixture, by_target in lists.items():
        for target, sources in by_target.items():
            runs = measured[target, frozenset(sources)]
            scores = {(run["seed"], run["prompt"]): float(run["score"]) for run in runs}
            seeds, templates = (sorted({key[i] for key in scores}) for i in (0, 1))
            if len(scores) != len(runs) or len(scores) != len(seeds) * len(templates):
                raise SystemExit(f"{mixture}, {target}: not one score for each template and seed.")
            by_seed = [fmean(scores[seed, template] for template in templates) for seed in seeds]
            figures = (f"{fmean(by_seed):.6f}", f"{stdev(by_seed):.6f}", len(templates), len(seeds))
            rows.append(dict(zip(COLUMNS, (mixture, target, "+".join(sorted(sources)), len(sources), *figures), strict=True)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table_rows(arguments.data))


if __name__ == "__main__":
    main()
