"""The tables of the pages `How good it is`, each from a result file of benchmarks/*/results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.selection import selector_tables
from scripts.docs_site.results import figures

SELECTORS = ("blend", "taskshop", "popularity", "text-embedding", "roe", "random")
SINGLE = ("popularity", "roe", "text-embedding", "taskshop", "blend")


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown; text on the left, everything else on the right."""
    titles = list(heads)
    lines = ["| " + " | ".join(titles) + " |", "|---" + "|--:" * (len(titles) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def interval(values: Sequence[float], form: str = ".1f") -> str:
    """A value with its 95% interval."""
    middle, low, high = (format(one, form) for one in values)
    return f"{middle} ({low} to {high})"


def difference(entry: Mapping[str, Any], form: str = "+.1f") -> str:
    """A paired difference with its 95% interval, or with its standard error."""
    if "standard_error" in entry:
        return f"{entry['difference']:{form}} ± {entry['standard_error']:{form.lstrip('+')}}"
    return interval((entry["difference"], *entry["interval"]), form)


def ndcg_and_regret(entry: Mapping[str, Any]) -> str:
    """NDCG with the spread over draws, and Regret@5."""
    spread = entry.get("draw_sd", entry.get("ndcg_draw_sd", 0.0))
    return f"{entry['ndcg']:.1f}{f' ± {spread:.1f}' if spread > 1e-9 else ''} / {entry['regret_at_5']:.2f}"


# Rankings


def selectors() -> str:
    """All selectors: the mean of the setups, and t5l/finetune."""
    order = figures("selection/selector_figures")["main"]["order"]
    rows = []
    for name in SELECTORS:
        mean, large = order[f"{name}, mean"], order[f"{name}, t5l/finetune"]
        over = "" if name == "popularity" else difference(mean["ndcg_over_popularity"])
        label = f"**{name}**, the default" if name == "blend" else name
        rows.append((label, *(cell for one in (mean, large) for cell in ndcg_and_regret(one).split(" / ")), over))
    return table(("selector", "NDCG", "Regret@5", "NDCG, t5l", "Regret@5, t5l", "NDCG over popularity"), rows)


def selector_part(part: str) -> Callable[[], str]:
    """A part of the tables of selector_figures."""
    return lambda: selector_tables.markdown({part: figures("selection/selector_figures")[part]}).strip()


def published_predictions() -> str:
    """The paper's own predictions beside ours, and how many and which examples are compared."""
    found = figures("selection/bank_choice")
    rows = []
    for name, own in found.items():
        of = [
            own.get(f"{kind}, {where}", own.get(f"taskshop_roe, {where}")) for kind in ("roe", "taskshop") for where in _WHERE
        ]
        rows.append((name, *map(ndcg_and_regret, of)))
    return table(("examples", "RoE, t5l", "RoE, mean", "TaskShop, t5l", "TaskShop, mean"), rows)


_WHERE = ("t5l/finetune", "mean")


def small_webs() -> str:
    """Simulated webs by number of tasks."""
    found = figures("selection/simulated_webs")
    rows = []
    for size in dict.fromkeys(row["tasks"] for row in found):
        own = [row for row in found if row["tasks"] == size]
        means = [f"{fmean(row['ndcg'][name] for row in own):.1f}" for name in SINGLE]
        rows.append((size, *means, f"{fmean(row['lead']['difference'] for row in own):+.1f}"))
    return table(("tasks", *SINGLE, "blend over the best single selector"), rows)


def parts_of_the_web() -> str:
    """Parts of the published web."""
    rows = [
        (
            str(row["tasks"]),
            *(f"{row[name]:.1f}" for name in SINGLE),
            *(difference(row[f"{name}_over_best"]) for name in ("taskshop", "blend")),
            f"{row['held']:.0%}",
        )
        for row in figures("selection/parts_of_the_web")
    ]
    over = ("taskshop over the best single selector", "blend over it", "80% intervals contain")
    return table(("tasks", *SINGLE, *over), rows)


def unmeasured() -> str:
    """Sources without transfers of their own."""
    forms = {"ndcg": ".1f", "regret_at_5": ".2f", "rmse_of_t": ".4f", "popularity_correlation": "+.2f"}
    rows = [
        (name, *(format(own[key], form) if key in own else "" for key, form in forms.items()))
        for name, own in figures("selection/unmeasured_sources").items()
    ]
    return table(("kernel over texts", "NDCG", "Regret@5", "RMSE of T", "correlation with measured popularity"), rows)


def across_setups() -> str:
    """Ranking for a setup from the web's other setups."""
    rows = [
        (
            row["way"],
            interval((row["spearman"], *row["spearman_interval"]), ".2f"),
            "" if row["way"] == "own popularity" else difference(row["vs_own_popularity"], "+.2f"),
        )
        for row in figures("selection/cross_setups")["published"]
        if row["setup"] == "mean"
    ]
    return table(("ranked by", "correlation with the measured order", "over own popularity"), rows)


def across_simulated_setups() -> str:
    """The same on simulated tables of base models, by regime."""
    ways = ("own popularity", "mean of other setups", "other setups", "other setups and own targets")
    rows = [
        (regime, *(f"{own[way]['spearman']:.2f}" for way in ways), f"{100 * own['other setups']['coverage_80']:.0f}%")
        for regime, own in figures("selection/cross_setups").items()
        if regime != "published"
    ]
    return table(("regime", *ways, "80% intervals of other setups contain"), rows)


def how_many() -> str:
    """Accuracy by number of sources."""
    found = figures("selection/how_many")["mean_by_k"]
    return table(("sources", *found), [("accuracy", *(f"{value:.1f}" for value in found.values()))])


# Models


def trials(name: str) -> Callable[[], str]:
    """Models trained on chosen sources, on generated tasks."""

    def made() -> str:
        found = figures(f"selection/{name}")["top_less"]
        kinds = {
            "all_but_null": "all targets of families with transfers",
            "told_apart": "where the ranking distinguishes sources",
            "not_told_apart": "where it does not",
            "null": "family without transfers",
        }
        rows = [
            (label, str(found[kind]["targets"]), *(_points(found[kind][other]) for other in ("random", "bottom", "all")))
            for kind, label in kinds.items()
            if kind in found
        ]
        return table(("chosen less ...", "targets", "two random", "the worst two", "all sources"), rows)

    return made


def _points(own: Mapping[str, float]) -> str:
    return interval([100 * own[name] for name in ("mean", "low", "high")], "+.1f")


def refine_trial() -> str:
    """What a few runs chose, end to end."""
    found = figures("selection/refine_trial")
    rows = [
        (
            way,
            f"{found['runs'][way]:g}",
            interval(own),
            interval(found["kg_less"][way], "+.1f") if way in found["kg_less"] else "",
        )
        for way, own in found["accuracy"].items()
    ]
    return table(("sources chosen by", "runs", "accuracy", "kg less this"), rows)


def real_text_web() -> str:
    """Six tasks of real text: alone, after a source, after the best one."""
    setups = ("minilm/finetune", "minilm/lora")
    rows = []
    for task in figures("selection/real_text_web")["tasks"]:
        cells = [task["task"], f"{100 * task['majority']:.1f}"]
        for setup in setups:
            own = task[setup]
            cells += [f"{100 * own[name]:.1f}" for name in ("alone", "after_a_source")]
            cells.append(f"{100 * own['after_the_best']:.1f} ({own['best_source']})")
        rows.append([*cells, f"{task['minilm/lora']['split_half_reliability']:.2f}"])
    parts = ("alone", "after a source", "after the best")
    return table(("task", "majority", *(f"{setup}: {part}" for setup in setups for part in parts), "reliability"), rows)


def real_text_path() -> str:
    """Mixtures of chosen sources on real text."""
    found = figures("selection/real_text_path")
    names = ("majority", "alone", "top", "random", "all")
    rows = [
        (
            own["target"],
            *(f"{100 * own[name]:.1f}" for name in names[:3]),
            f"{100 * own['random']:.1f} ({', '.join(f'{100 * one:.1f}' for one in own['of_random'])})",
            f"{100 * own['all']:.1f}",
            ", ".join(own["top_sources"]),
        )
        for own in found["targets"]
    ]
    less = (
        "best 5 less this",
        "",
        _points(found["top_less_alone"]),
        "",
        *(_points(found[f"top_less_{n}"]) for n in names[3:]),
        "",
    )
    heads = ("target", "majority", "target alone", "best 5", "random 5 (three draws)", "all 11", "the five")
    return table(heads, [*rows, less])


# Measured runs


def measured_runs() -> str:
    """What a few runs on the target are worth, by policy."""
    found = [row for row in figures("selection/measured_runs")["rows"] if row["setup"] == "mean"]
    numbers = list(dict.fromkeys(row["measured"] for row in found))
    at = {(row["policy"], row["measured"]): row for row in found}
    rows = [
        (policy, *(ndcg_and_regret(at[policy, n]) if (policy, n) in at else "" for n in numbers))
        for policy in dict.fromkeys(row["policy"] for row in found)
    ]
    return table(("NDCG / Regret@5", *(f"{n} sources measured" for n in numbers)), rows)


def measured_simulated() -> str:
    """The same on simulated webs, whose true gains are known; differences with standard errors over webs."""
    rows = [
        (
            row["policy"],
            str(row["measured"]),
            f"{row['ndcg']:.1f}",
            f"{row['regret_at_5']:.2f}",
            f"{row['coverage']:.0f}%",
            *("{:+.2f} ± {:.2f}".format(*row[f"regret_at_5_against_{other}"]) for other in ("uniform", "none")),
        )
        for row in figures("selection/measured_simulated")
    ]
    heads = ("policy", "runs", "NDCG", "Regret@5", "80% intervals contain", "Regret@5 against uniform", "against no run")
    return table(heads, rows)


def whole_webs(name: str) -> Callable[[], str]:
    """Designs of whole webs by share of the cost of all runs."""

    def made() -> str:
        found = [row for row in figures(f"selection/{name}")["rows"] if row["setup"] == "mean"]
        shares = sorted({row["share"] for row in found if row["share"] < 1})
        at = {(row["design"], row["share"]): ndcg_and_regret(row) for row in found}
        designs = [design for design in dict.fromkeys(row["design"] for row in found) if design != "all runs"]
        rows = [(design, *(at.get((design, share), "") for share in shares)) for design in designs]
        heads = ("NDCG / Regret@5", *(f"{share:g} of the cost" for share in shares))
        return table(heads, rows) + (f"\n\nAll runs: {at['all runs', 1.0]}." if ("all runs", 1.0) in at else "")

    return made


def large_webs() -> str:
    """Designs of webs of 100 tasks."""
    rows = [
        (f"{row['web'] + 1}", row["design"], f"{row['all_runs']:.1f}", *(f"{value:.1f}" for value in row["ndcg"].values()))
        for row in figures("selection/large_webs")["rows"]
    ]
    return table(("web", "design", "NDCG, all runs", "0.05 of the cost", "0.15 of the cost"), rows)


def other_setups() -> str:
    """A target's runs in other setups as evidence, before any run."""
    found = [row for row in figures("selection/other_setups")["before_any_run"] if row["evidence"] in ("none", "all others")]
    setups = dict.fromkeys(row["setup"] for row in found)
    at = {(row["setup"], row["evidence"]): row for row in found}
    rows = []
    for setup in setups:
        own = at[setup, "all others"]
        gap = interval(own["ndcg_over_none"], "+.1f") if "ndcg_over_none" in own else ""
        rows.append((setup, ndcg_and_regret(at[setup, "none"]), ndcg_and_regret(own), gap))
    return table(("setup", "no runs", "with its runs in all other setups", "NDCG"), rows)


def model_evidence(where: str) -> Callable[[], str]:
    """What the model itself says of sources."""

    def made() -> str:
        found = figures("selection/model_evidence")
        own = found["real_text"]["rows"] if where == "real_text" else found[where]
        others = () if where == "early" else ("blend", "roe")
        rows = [
            (
                row["order"],
                interval(row["ndcg"]),
                interval(row["regret_at_1"]),
                *(interval(row[key], "+.1f") if (key := f"ndcg_against_{other}") in row else "" for other in others),
            )
            for row in own
        ]
        return table(("ordered by", "NDCG", "Regret@1", *(f"NDCG over {other}" for other in others)), rows)

    return made


# Speed and cost


def engine_throughput() -> str:
    """Runs per hour beside the Trainer of Transformers; `without it`: without the Trainer's collection of garbage."""
    rows = []
    for cell in figures("engine/engine_throughput")["cells"]:
        speed = [
            f"{cell['ways'][way]['runs_per_hour']:,.0f}" if way in cell["ways"] else "" for way in ("trainer", "alone", "fused")
        ]
        names = ("alone_over_trainer", "alone_over_trainer_without_collecting", "fused_over_trainer", "fused_over_alone")
        rows.append((f"{cell['shape']}, {cell['method']}", *speed, *(_ratio(cell["ratios"].get(name)) for name in names)))
    ratios = ("alone / Trainer", "without it", "fused / Trainer", "fused / alone")
    return table(("model, method", "Trainer", "alone", "fused", *ratios), rows)


def _ratio(own: Mapping[str, float] | None) -> str:
    return "" if own is None else f"{own['median']:.2f} ({own['min']:.2f} to {own['max']:.2f})"


def time_shares() -> str:
    """Where the engine's time goes."""
    found = figures("engine/time_shares")["rows"]
    heads = [f"{row['model']}, {row['method']}{', fused' if row['fuse'] else ''}" for row in found]
    most = {part: max(row["percent"].get(part, 0.0) for row in found) for row in found for part in row["percent"]}
    parts = sorted((part for part in most if most[part] > 0.1), key=lambda part: (-found[0]["percent"].get(part, 0.0), part))
    speeds = ("runs per hour", *(f"{row['runs_per_hour']['median']:,.0f}" for row in found))
    rows = [(part, *(f"{row['percent'][part]:.1f}" if part in row["percent"] else "" for row in found)) for part in parts]
    return table(("percent", *heads), [speeds, *rows])


def update_limit() -> str:
    """An update beside its matrix products."""
    names = ("update", "products_in_own_shapes", "products_at_the_rate_of_large_ones")
    rows = [
        (model, *(f"{1000 * own[name]:.1f}" for name in names), *(f"{own[f'stack_of_{n}']['ratio']:.1f}" for n in (2, 4, 8)))
        for model, own in figures("engine/update_limit").items()
    ]
    heads = ("milliseconds", "update", "its products", "at the rate of large ones", "2 stacked", "4 stacked", "8 stacked")
    return table(heads, rows)


def web_cost() -> str:
    """GPU hours of webs, on paper."""
    rows = [
        (
            row["web"],
            row["setup"],
            f"{row['runs']:,}",
            f"{row['trainings']:,}",
            f"{row['operations'] / 1e18:.2g}" if row["operations"] < 1e18 else f"{row['operations'] / 1e18:.1f}",
            *(_hours(row["hours"][way]) for way in ("alone", "fused")),
            _hours(row["published_hours_of_targets"]),
        )
        for row in figures("engine/web_cost")["rows"]
    ]
    hours = ("hours alone", "hours fused", "published hours of targets")
    return table(("web", "setup", "runs", "trainings", "10^18 operations", *hours), rows)


def _hours(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def lora_memory() -> str:
    """Memory of many runs in a row, in MiB."""
    found = figures("engine/lora_memory")
    sizes = (found["base"], found["own"], max(found["peaks"]))
    ratios = (f"{found['ratio']:.2f}", f"{found['largest_of_later_runs_to_first']:.3f}")
    heads = ("base: the weights", "own: one run by a loop written by hand", f"peak of {found['runs']} runs")
    return table(
        (*heads, "ratio to base and own", "largest of later runs, to the first"), [(*(f"{size:,}" for size in sizes), *ratios)]
    )


def synthetic_family() -> str:
    """Whether measured transfers follow the planted relatedness."""
    found = figures("engine/synthetic_family")["rows"]
    setups = list(dict.fromkeys(row["setup"] for row in found))
    at = {(row["family"], row["setup"]): row["spearman"] for row in found}
    rows = [
        (family, *("" if at[family, s] is None else f"{at[family, s]:+.2f}" for s in setups))
        for family in dict.fromkeys(row["family"] for row in found)
    ]
    return table(("rank correlation", *setups), rows)


def evaluation_throughput() -> str:
    """Prompts per second beside loops over choices."""
    rows = [
        (
            name,
            f"{own['prompts_per_second']['taskweb']:.1f}",
            *("to ".join(_ends(own[f"times_{loop}"])) for loop in ("loop", "sparing_loop", "batched_loop")),
        )
        for name, own in figures("evaluation/evaluation_throughput").items()
    ]
    return table(("model, task", "prompts per second", "times loop", "times sparing loop", "times batched loop"), rows)


def _ends(values: Sequence[float]) -> tuple[str, str]:
    return f"{min(values):.1f} ", f"{max(values):.1f}"


def lm_eval_agreement() -> str:
    """Log-likelihoods and answers beside lm-evaluation-harness."""
    rows = []
    for name, own in figures("evaluation/lm_eval_agreement")["agreement"].items():
        sets = [one for one in own.values() if isinstance(one, dict) and "largest_difference" in one]
        rows.append(
            (
                name,
                f"{sum(one['rows'] for one in sets)}",
                f"{max(one['largest_difference'] for one in sets):.1e}",
                f"{sum(one['other_answers'] for one in sets)}",
            )
        )
    return table(("model", "examples", "largest difference of a log-likelihood", "other answers"), rows)


def rank_speed(name: str) -> Callable[[], str]:
    """Seconds and memory of a whole `taskweb rank`."""

    def made() -> str:
        rows = [
            (
                row["what"],
                f"{row['tokens']:,}",
                _between(row["seconds"], ".2f"),
                f"{row['processor_seconds']['median']:.2f}" if "processor_seconds" in row else "",
                f"{row['peak_mb']['median']:.0f}",
            )
            for row in figures(f"selection/{name}")
        ]
        return table(("command", "tokens", "seconds", "processor seconds", "peak, MB"), rows)

    return made


def _between(own: Mapping[str, float], form: str) -> str:
    return f"{own['median']:{form}} ({own['min']:{form}} to {own['max']:{form}})"


def scale() -> str:
    """Ranking from many sources."""
    rows = [
        (row["selector"], f"{row['sources']:,}", f"{row['seconds']:.2f}", f"{row['anonymous_mb']:,.0f}")
        for row in figures("selection/scale")["results"]
    ]
    return table(("selector", "sources", "seconds", "MB"), rows)


def web_growth() -> str:
    """What each command costs as a web grows: seconds, and megabytes at most."""
    found = figures("selection/web_growth")
    webs = found["webs"]
    steps = dict.fromkeys(step for web in webs for step, cost in web.items() if isinstance(cost, dict))
    rows = []
    for step in steps:
        costs = (f"{web[step]['seconds']:.1f} s, {web[step]['peak_mb']:,} MB" if step in web else "" for web in webs)
        rows.append((step, *costs, f"{found['exponents'][step]:.1f}"))
    heads = (f"{web['tasks'].replace('x', ' x ')} tasks, {web['rows']:,} runs" for web in webs)
    return table(("command", *heads, "exponent"), rows)


def store_throughput() -> str:
    """Storing runs, and computing scores."""
    rows = [
        (
            f"{row['runs']:,}",
            f"{row['insert_seconds']:.1f}",
            f"{row['runs_per_second']:,}",
            f"{row['score_seconds']:.2f}",
            f"{row['score_peak_mb']:.0f}",
            f"{row['file_mb']:.0f}",
        )
        for row in figures("store/store_throughput")["store"]
    ]
    return table(("runs", "seconds to store", "runs per second", "seconds to scores", "memory, MB", "file, MB"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "selectors": selectors,
    **{
        f"selector_{part}": selector_part(part)
        for part in ("main", "destroyed", "families", "pivots", "examples", "encoders", "own")
    },
    "published_predictions": published_predictions,
    "small_webs": small_webs,
    "parts_of_the_web": parts_of_the_web,
    "unmeasured": unmeasured,
    "across_setups": across_setups,
    "across_simulated_setups": across_simulated_setups,
    "how_many": how_many,
    "trials": trials("selection_trials"),
    "trials_t5": trials("selection_trials_t5"),
    "refine_trial": refine_trial,
    "real_text_web": real_text_web,
    "real_text_path": real_text_path,
    "measured_runs": measured_runs,
    "measured_simulated": measured_simulated,
    "whole_webs": whole_webs("whole_webs"),
    "whole_webs_second": whole_webs("whole_webs_second"),
    "large_webs": large_webs,
    "other_setups": other_setups,
    "model_evidence_generated": model_evidence("generated"),
    "model_evidence_early": model_evidence("early"),
    "model_evidence_real_text": model_evidence("real_text"),
    "engine_throughput": engine_throughput,
    "time_shares": time_shares,
    "update_limit": update_limit,
    "web_cost": web_cost,
    "lora_memory": lora_memory,
    "synthetic_family": synthetic_family,
    "evaluation_throughput": evaluation_throughput,
    "lm_eval_agreement": lm_eval_agreement,
    "rank_speed": rank_speed("rank_speed"),
    "rank_speed_quiet": rank_speed("rank_speed_quiet"),
    "scale": scale,
    "web_growth": web_growth,
    "store_throughput": store_throughput,
}
