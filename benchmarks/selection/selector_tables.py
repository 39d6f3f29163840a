"""The figures of selector_figures.py as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def markdown(found: Mapping[str, Any]) -> str:
    """All parts that were measured."""
    writers = {
        "main": _main,
        "destroyed": _destroyed,
        "families": _families,
        "pivots": _pivots,
        "examples": _examples,
        "encoders": _encoders,
        "own": _own,
    }
    return "\n".join(line for part, write in writers.items() if part in found for line in (*write(found[part]), "")) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    titles = list(head)
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _gap(entry: Mapping[str, Any], digits: int = 1) -> str:
    low, high = entry["interval"]
    return f"{entry['difference']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _main(part: Mapping[str, Any]) -> list[str]:
    order: Mapping[str, Any] = part["order"]
    selectors = list(dict.fromkeys(key.split(", ")[0] for key in order))
    setups = list(dict.fromkeys(key.split(", ")[1] for key in order))

    def cell(selector: str, setup: str) -> str:
        entry = order[f"{selector}, {setup}"]
        spread = f" ± {entry['draw_sd']:.1f}" if entry["draw_sd"] > 1e-9 else ""  # rounding
        return f"{entry['ndcg']:.1f}{spread} / {entry['regret_at_5']:.2f}"

    lines = [f"NDCG / Regret@5 in percent, {part['draws']} draws, ± over draws.", ""]
    lines += _table(("setup", *selectors), [(setup, *(cell(selector, setup) for selector in selectors)) for setup in setups])
    for reference in ("taskshop", "popularity"):
        lines += ["", f"Over {reference}, paired over targets, 95%:", ""]
        rows = []
        for selector in selectors:
            entry = order[f"{selector}, mean"]
            if selector != reference:
                regret = _gap(entry[f"regret_at_5_over_{reference}"], 2)
                rows.append((selector, _gap(entry[f"ndcg_over_{reference}"]), regret))
        lines += _table(("selector", "NDCG", "Regret@5"), rows)
    lines += ["", "Detecting harm (PC < 0) within a target, mean over setups:", ""]
    harm = part["harm"].items()
    lines += _table(
        ("predicted from", "AUC", "AUC over popularity", "average precision", "over popularity"),
        [
            (
                name,
                f"{entry['auc']:.3f}",
                "" if name == "popularity" else _gap(entry["auc_over_popularity"], 3),
                f"{entry['average_precision']:.3f}",
                "" if name == "popularity" else _gap(entry["average_precision_over_popularity"], 3),
            )
            for name, entry in harm
        ],
    )
    lines += ["", f"80% intervals for PC cover {100 * part['coverage_of_80']:.1f}% of the pairs; by setup: "]
    lines[-1] += ", ".join(f"{setup} {100 * share:.0f}%" for setup, share in part["coverage_by_setup"].items()) + "."
    lines += ["", "Probability of harm:", ""]
    bins = part["reliability_of_harm"]
    lines += _table(
        ("predicted", "observed", "pairs"), [(f"{b['said']:.2f}", f"{b['happened']:.2f}", str(b["pairs"])) for b in bins]
    )
    lines += ["", "Probability that the best source is among the first k:", ""]
    chances = part["best_among"].items()
    return lines + _table(("k", "predicted", "observed"), [(k, f"{c['said']:.2f}", f"{c['happened']:.2f}") for k, c in chances])


def _destroyed(part: Mapping[str, Any]) -> list[str]:
    selectors = list(next(iter(part.values()))["ndcg"])
    rows = []
    for kind, entry in part.items():
        gap = entry["blend_over_best_single"]
        rows.append(
            (
                kind,
                *(f"{entry['ndcg'][name]:.1f}" for name in selectors),
                f"{gap['difference']:+.1f} ± {gap['standard_error']:.1f} ({entry['best_single']})",
                f"{100 * entry['says_that_it_can_tell']:.0f}%",
            )
        )
    shuffles = next(iter(part.values()))["shuffles"]
    head = ("destroyed", *selectors, "blend over the best single selector", "blend says that it distinguishes sources")
    return [f"NDCG, {shuffles} shuffles each, mean of the setups:", "", *_table(head, rows)]


def _families(part: Mapping[str, Any]) -> list[str]:
    selectors = list(next(iter(part.values()))["ndcg"])
    rows = [
        (
            name,
            *(f"{entry['ndcg'][selector]:.1f}" for selector in selectors),
            _gap(entry["over_best_single"]),
            f"{entry['over_best_told_by_others']:+.1f}",
        )
        for name, entry in part.items()
    ]
    head = ("family", *selectors, "blend over the best single selector", "best by the other targets")
    return ["NDCG on the webs of synthetic families, mean of the setups; 95% over eight targets:", "", *_table(head, rows)]


def _pivots(part: Mapping[str, Any]) -> list[str]:
    rows = [(name, f"{ndcg:.1f} / {regret:.2f}") for name, (ndcg, regret) in part.items()]
    return ["Blend with sets of pivots, mean of the setups:", "", *_table(("pivots", "NDCG / Regret@5"), rows)]


def _examples(part: Mapping[str, Any]) -> list[str]:
    selectors = list(next(iter(part.values())))
    rows = [
        (count, *("{:.1f} ± {:.1f} / {:.2f}".format(*(entry[name][i] for i in (0, 2, 1))) for name in selectors))
        for count, entry in part.items()
    ]
    return ["Target examples, mean of the setups:", "", *_table(("examples", *selectors), rows)]


def _encoders(part: Mapping[str, Any]) -> list[str]:
    names = list(part["encoders"])
    columns = list(part["encoders"][names[0]])  # "selector, setup"
    lines = []
    for setup in dict.fromkeys(column.split(", ")[1] for column in columns):
        selectors = [column.split(", ")[0] for column in columns if column.endswith(f", {setup}")]
        rows = []
        for name in names:
            found = [part["encoders"][name][f"{selector}, {setup}"] for selector in selectors]
            cells = [f"{entry['ndcg']:.1f} ± {entry['draw_sd']:.1f} / {entry['regret_at_5']:.2f}" for entry in found]
            gaps = [f"{_gap(entry['ndcg_over_reference'])} / {_gap(entry['regret_at_5_over_reference'], 2)}" for entry in found]
            rows.append((name, *cells, *(gaps if name != names[0] else [""] * len(gaps))))
        where = "mean of the setups" if setup == "mean" else setup
        head = ("encoder", *selectors, *(f"{selector}, over the first" for selector in selectors))
        lines += [f"Encoders, {where}, {part['draws']} draws:", "", *_table(head, rows), ""]
    return lines[:-1]


def _own(part: Mapping[str, Any]) -> list[str]:
    order: Mapping[str, Any] = part["order"]
    selectors = list(dict.fromkeys(key.split(", ")[0] for key in order))
    setups = list(dict.fromkeys(key.split(", ")[1] for key in order))

    def cell(entry: Mapping[str, Any]) -> str:
        low, high = entry["ndcg_interval"]
        return f"{entry['ndcg']:.1f}" + (f" ({low:.0f} to {high:.0f})" if high - low > 1e-9 else "")

    rows = []
    for selector in selectors:
        cells = [cell(order[f"{selector}, {setup}"]) for setup in setups]
        margins = [order[f"{selector}, mean"].get(f"ndcg_over_{name}") for name in ("popularity", "taskshop")]
        rows.append((selector, *cells, *("" if margin is None else _gap(margin) for margin in margins)))
    about = f"NDCG on the web measured on real text, {part['targets']} targets, {part['draws']} draws, 95% over targets:"
    return [about, "", *_table(("selector", *setups, "over popularity", "over taskshop"), rows)]
