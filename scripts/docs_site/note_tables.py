"""The tables of the notes in benchmarks/*/README.md, each from a result file beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean
from typing import Any

from scripts.docs_site.benchmark_tables import SINGLE, difference, interval, ndcg_and_regret, table
from scripts.docs_site.results import REPOSITORY, figures

Rows = Iterable[Mapping[str, Any]]


def _short(setup: str) -> str:
    return setup.removesuffix("/finetune")


def _shift(low: float, high: float) -> str:
    """Two rounds: one number where they round to the same."""
    ends = [f"{value:.1f}" for value in sorted((low, high))]
    return " to ".join(dict.fromkeys(ends))


# Rankings


def published_web() -> str:
    """Selectors in every setup of the published web, as the benchmark wrote them."""
    return (REPOSITORY / "benchmarks/selection/results/published_web.md").read_text(encoding="utf-8").strip()


def blend_margins() -> str:
    """The blend beside TaskShop and popularity."""
    own = figures("selection/selector_figures")["main"]["order"]["blend, mean"]
    rows = [("blend", *ndcg_and_regret(own).split(" / "))]
    for other, label in (("taskshop", "TaskShop"), ("popularity", "popularity")):
        gaps = (
            difference(own[f"ndcg_over_{other}"]),
            difference(own[f"regret_at_5_over_{other}"], "+.2f"),
        )
        rows.append((f"blend over {label}", *gaps))
    return table(("mean of the setups", "NDCG", "Regret@5"), rows)


def small_webs_by_truth() -> str:
    """Simulated webs by number of tasks, with standard errors, and the kind of truth that suits the blend least."""
    found = figures("selection/simulated_webs")
    rows = []
    for size in dict.fromkeys(row["tasks"] for row in found):
        own = [row for row in found if row["tasks"] == size]
        worst = min(own, key=lambda row: float(row["lead"]["difference"]))
        means = [f"{fmean(row['ndcg'][name] for row in own):.1f}" for name in SINGLE]
        gaps = [_mean_gap([row[name] for row in own]) for name in ("lead", "lead_told_afterwards")]
        rows.append((size, *means, *gaps, f"{difference(worst['lead'])} ({_CAUSES.get(worst['causes'], worst['causes'])})"))
    return table(("tasks", *SINGLE, "over the best single selector", "best in hindsight", "worst kind of truth"), rows)


_CAUSES = {"nothing": "nothing to learn"}


def _mean_gap(gaps: Sequence[Mapping[str, float]]) -> str:
    """The mean of independent differences, with its standard error."""
    error = sqrt(sum(gap["standard_error"] ** 2 for gap in gaps)) / len(gaps)
    return difference({"difference": fmean(gap["difference"] for gap in gaps), "standard_error": error})


# Measured runs


def _measured() -> dict[tuple[str, str, int], Mapping[str, Any]]:
    found: Rows = figures("selection/measured_runs")["rows"]
    return {(row["policy"], row["setup"], row["measured"]): row for row in found}


def _setups_and_numbers() -> tuple[list[str], list[int]]:
    at = _measured()
    setups = [setup for setup in dict.fromkeys(setup for _, setup, _ in at) if setup != "mean"]
    return setups, sorted({number for _, _, number in at})


def measured_policies() -> str:
    """What a number of runs is worth by policy, and how many gains are in their intervals."""
    at = _measured()
    setups, numbers = _setups_and_numbers()
    policies = ("kg", "uniform", "ucb", "random")
    rows = []
    for number in numbers:
        means = [at[policy, "mean", number] for policy in policies]
        held = [at["kg", setup, number]["coverage"] for setup in setups]
        cells = [f"{own['ndcg']:.1f} / {own['regret_at_5']:.2f} / {own['regret_at_1']:.2f}" for own in means]
        covered = f"{means[0]['coverage']:.0f}% ({min(held):.0f} to {max(held):.0f})"
        rows.append((str(number), *cells, covered, f"{means[0]['cost_hours']:.1f}"))
    intervals = "gains in their 80% intervals, kg (least and most of a setup)"
    return table(("runs of the target", "kg (default)", *policies[1:], intervals, "hours, kg"), rows)


def measured_setups() -> str:
    """Knowledge gradient in each setup."""
    at = _measured()
    setups, numbers = _setups_and_numbers()
    shown = [number for number in numbers if number != 4]
    rows = [(setup, *(ndcg_and_regret(at["kg", setup, number]) for number in shown)) for setup in setups]
    return table(("kg in each setup", *(f"{number} runs" for number in shown)), rows)


def measured_margins() -> str:
    """Knowledge gradient less uniform measuring: differences with 95% intervals over targets."""
    at = _measured()
    setups, numbers = _setups_and_numbers()
    later = [number for number in numbers if number]
    rows = []
    for setup in (*setups, "mean"):
        regret = [interval(at["kg", setup, number]["regret_at_5_against_uniform"], "+.2f") for number in later]
        ndcg = [interval(at["kg", setup, number]["ndcg_against_uniform"], "+.1f") for number in (8, 21)]
        rows.append((setup, *regret, *ndcg))
    return table(("kg less uniform", *(f"{n} runs" for n in later), "NDCG, 8 runs", "NDCG, 21 runs"), rows)


def measured_front() -> str:
    """The front of knowledge gradient, by how much the first source counts; cases that are worse than uniform measuring."""
    at = _measured()
    setups, numbers = _setups_and_numbers()
    later = [number for number in numbers if number]
    policies = {"1": "kg, first 1", "2 (default)": "kg", "4": "kg, first 4", "16": "kg, first 16", "uniform": "uniform"}
    rows = []
    for label, policy in policies.items():
        cases = [at[policy, setup, number] for setup in setups for number in later]
        worse = (
            sum(case["regret_at_5_against_uniform"][1] > 0 for case in cases),
            sum(case["ndcg_against_uniform"][2] < 0 for case in cases),
        )
        counts = ("", "") if policy == "uniform" else map(str, worse)
        rows.append((label, *(ndcg_and_regret(at[policy, "mean", number]) for number in later), *counts))
    heads = ("the first counts", *(f"{n} runs" for n in later), "worse by Regret@5", "worse by NDCG")
    return table(heads, rows)


def evidence_of_setups() -> str:
    """What the target's row in another setup adds, before any run."""
    found: Rows = figures("selection/other_setups")["before_any_run"]
    at = {(row["setup"], row["evidence"]): row for row in found}
    setups = [setup for setup in dict.fromkeys(setup for setup, _ in at) if setup != "mean"]
    rows = []
    for setup in setups:
        added = [_added(at[setup, other]) if (setup, other) in at else "" for other in setups]
        whole = at[setup, "all others"]
        total = f"{interval(whole['ndcg_over_none'], '+.1f')} / {interval(whole['regret_at_5_over_none'], '+.2f')}"
        rows.append((_short(setup), ndcg_and_regret(at[setup, "none"]), *added, total))
    return table(("ranked in", "without", *map(_short, setups), "all six"), rows)


def _added(own: Mapping[str, Any]) -> str:
    return f"{own['ndcg_over_none'][0]:+.1f} / {own['regret_at_5_over_none'][0]:+.2f}"


def bought_rows() -> str:
    """A row of a smaller model, and runs of the larger one."""
    found: Rows = figures("selection/other_setups")["after_runs"]
    at = {(row["setup"], row["row_of"], row["evidence"], row["runs"]): row for row in found}
    numbers = (0, 4, 8, 15)
    rows = []
    for setup in dict.fromkeys(setup for setup, *_ in at):
        smaller = list(dict.fromkeys(row_of for own, row_of, *_ in at if own == setup))
        cases = [(smaller[0], "none"), *((row_of, seeds) for row_of in smaller for seeds in ("1 seed", "8 seeds"))]
        for row_of, seeds in cases:
            own = [at[setup, row_of, seeds, number] for number in numbers]
            named = ("none", "") if seeds == "none" else (_short(row_of), seeds.split()[0])
            rows.append((_short(setup), *named, *map(ndcg_and_regret, own), f"{own[0]['cost']:.0f}"))
    cost = "cost of the row, in trainings of the larger"
    return table(("ranked in", "row of", "its seeds", "no run", *(f"{n} runs" for n in numbers[1:]), cost), rows)


# Whole webs


def whole_webs_margins() -> str:
    """The second draw of the designs of whole webs, with differences."""
    found: Rows = [row for row in figures("selection/whole_webs_second")["rows"] if row["setup"] == "mean"]
    at = {(row["design"], row["share"]): row for row in found}
    shares = sorted({share for _, share in at if share < 1})
    rows = [(design, *(ndcg_and_regret(at[design, share]) for share in shares)) for design in ("chosen", "seed by seed")]
    for other in ("all runs", "seed by seed"):
        gaps = [at["chosen", share][f"ndcg_against_{other.replace(' ', '_')}"] for share in shares]
        rows.append((f"chosen over {other}", *(interval(gap, "+.1f") if any(gap) else "0" for gap in gaps)))
    return table(("share of the cost", *(f"{100 * share:g}%" for share in shares)), rows)


def large_web_plans() -> str:
    """Designs of webs of 100 tasks, their runs, and the time to choose them."""
    found = figures("selection/large_webs")["rows"]
    rows = []
    for row in found:
        first = row["design"] == "chosen"
        cells = (f"{row['web'] + 1}", row["design"], f"{row['runs']:,}", f"{row['seconds']:.0f}" if first else "")
        rows.append((*cells, *(f"{value:.1f}" for value in row["ndcg"].values()), f"{row['all_runs']:.1f}" if first else ""))
    hours = found[0]["hours"]
    heads = ("web", "design", "runs with 15%", "seconds to plan", f"5% ({hours / 3:.0f} h)", f"15% ({hours} h)", "all runs")
    return table(heads, rows)


# Studies


def study_sanity() -> str:
    """TaskShop beside its baselines in one setup."""
    rows = []
    for own in sorted(figures("selection/studies")["sanity"], key=lambda row: -row["ndcg"]["value"]):
        spread = own["ndcg_draw_sd"]
        ndcg = _estimate(own["ndcg"], ".1f") + (f" ± {spread:.1f}" if spread and spread > 1e-9 else "")
        rows.append((own["selector"], ndcg, _estimate(own["regret_at_5"], ".2f"), _estimate(own["rank_correlation"], "+.2f")))
    return table(("selector", "NDCG", "Regret@5", "rank correlation"), rows)


def _estimate(own: Mapping[str, float | None], form: str) -> str:
    """A figure with its interval where it has one; empty where there is no figure."""
    if own["value"] is None:
        return ""
    plain = own["low"] is None or abs(own["high"] - own["low"]) < 1e-9
    return format(own["value"], form) if plain else interval([own[end] or 0.0 for end in ("value", "low", "high")], form)


def study_pivots() -> str:
    """TaskShop with other pivots."""
    rows = []
    for own in figures("selection/studies")["pivots"]:
        named = {"none": "none (roe)", "all": "all"}.get(own["choice"], f"{own['n_pivots']} {_CHOICES.get(own['choice'])}")
        less = ("", "") if named == "all" else [_estimate(own[f"ndcg_to_{other}"], "+.1f") for other in ("all", "random")]
        rows.append((named, f"{own['ndcg']['value']:.1f}", *less, f"{own['regret_at_5']['value']:.2f}"))
    return table(("pivots", "NDCG", "less that of all", "less as many random", "Regret@5"), rows)


_CHOICES = {"similar": "most similar", "random": "random"}


def study_ksweep(part: str, head: str) -> Callable[[], str]:
    """The published multi-task results."""

    def made() -> str:
        rows = [
            (own["label"], f"{own['score']['value']:.2f}", "" if own["label"] == "all" else _estimate(own["to_all"], "+.2f"))
            for own in figures("selection/studies")["ksweep"][part]
        ]
        return table((head, "score", "less that of all"), rows)

    return made


# Models


def trials_by_family() -> str:
    """Models trained on chosen sources, by family of generated tasks."""
    found = figures("selection/selection_trials")
    rows = []
    for own in found["families"]:
        rankings = [row["tells_apart"] for row in found["rankings"] if row["family"] == own["family"]]
        cells = (f"{100 * own['accuracy'][name]:.1f}" for name in ("top", "random", "bottom", "all"))
        rows.append((own["family"], *cells, f"{sum(rankings)} of {len(rankings)}"))
    return table(("family", "top 2", "random 2", "bottom 2", "all", "distinguishes sources"), rows)


def refine_trial_by_family() -> str:
    """What a few runs chose, end to end, by family."""
    found = figures("selection/refine_trial")["of_families"]
    ways = list(next(iter(found.values())))
    return table(("family", *ways), [(family, *(f"{own[way]:.1f}" for way in ways)) for family, own in found.items()])


def added_sources() -> str:
    """One more source in a mixture on real text."""
    found = figures("selection/real_text_path")["interference"]
    rows = [("nothing", f"{100 * found['none']:.1f}", "")]
    for kind, own in found["added"].items():
        gap = [100 * own["over_none"][name] for name in ("mean", "low", "high")]
        rows.append((f"{own['source']} ({kind})", f"{100 * own['accuracy']:.1f}", interval(gap, "+.1f")))
    return table(("added", "accuracy", "over nothing added"), rows)


def planted_families() -> str:
    """Measured transfers beside the planted relatedness, in every family and setup."""
    rows = [
        (
            row["family"],
            row["setup"],
            f"{row['spearman']:.2f}",
            "< 0.001" if row["p_value"] < 0.001 else f"{row['p_value']:.3f}",
            f"{row['spearman_absolute']:.2f}",
            *(_of_pairs(row[share], row[pairs]) for share, pairs in _PLANTED),
            f"{100 * row['positive']:.0f} / {100 * row['negative']:.0f}",
            f"{row['two_step']:+.2f}",
            f"{row['baseline']:.2f}",
        )
        for row in figures("engine/synthetic_family")["rows"]
    ]
    correlations = ("Spearman of T and planted", "p", "of T and its size")
    pairs = ("related pairs that gain", "opposed pairs that lose", "gain / lose")
    return table(("family", "setup", *correlations, *pairs, "two steps", "baseline"), rows)


_PLANTED = (("related_gain", "related_pairs"), ("opposed_lose", "opposed_pairs"))


def _of_pairs(share: float | None, pairs: int) -> str:
    return "" if not pairs or share is None else f"{100 * share:.0f} of {pairs}"


# Evaluation


def evaluation_by_task() -> str:
    """Prompts per second beside loops over choices, one thread."""
    rows = []
    for name, own in figures("evaluation/evaluation_throughput").items():
        if own["threads"] != 1:
            continue
        model, task = name.rsplit(" ", 1)
        sparing = "the same" if "seq2seq" in model else _shift(*own["times_sparing_loop"])
        lengths = (str(own["choices"]), f"{own['prompt_tokens']:g} / {own['choice_tokens']:g}")
        times = (_shift(*own["times_loop"]), sparing, _shift(*own["times_batched_loop"]))
        saved = f"{own['multiplications_spared']['sparing_loop']:.1f}"
        rows.append((model, task, *lengths, _speed(own), *times, saved))
    times = ("times loop", "times sparing loop", "times batched loop")
    return table(
        ("model", "task", "choices", "tokens of prompt / choice", "prompts per second", *times, "multiplications saved"), rows
    )


def evaluation_on_two_cores() -> str:
    """The same on two threads: medians of rounds, with the least and the most."""
    rows = []
    for name, own in figures("evaluation/evaluation_throughput").items():
        if own["threads"] != 2:
            continue
        model, task = name.removesuffix(", 2 threads").rsplit(" ", 1)
        sparing = "the same" if "seq2seq" in model else _median(own["times_sparing_loop"])
        times = (_median(own["times_loop"]), sparing, _median(own["times_batched_loop"]))
        rows.append((model, task, _speed(own), *times))
    return table(("model", "task", "prompts per second", "times loop", "times sparing loop", "times batched loop"), rows)


def _speed(own: Mapping[str, Any]) -> str:
    value = own["prompts_per_second"]["taskweb"]
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _median(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f} ({ordered[0]:.1f} to {ordered[-1]:.1f})"


def agreement_by_task() -> str:
    """Log-likelihoods and accuracies beside lm-evaluation-harness, by checkpoint and task."""
    rows = []
    for checkpoint, tasks in figures("evaluation/lm_eval_agreement")["agreement"].items():
        for task, own in tasks.items():
            bare = own["largest_difference_without_prompt"]
            largest = (f"{own['largest_difference']:.1e}", f"{bare:.1e}" if bare else "")
            pairs = [own["metrics"][metric] for metric in ("acc", "acc_norm", "acc_bytes")]
            both = (f"{100 * here:.1f} {'=' if here == there else '≠'} {100 * there:.1f}" for here, there in pairs)
            rows.append((checkpoint, task, *largest, *both))
    return table(("checkpoint", "task", "given the prompt", "given nothing", "acc", "acc_norm", "acc_bytes"), rows)


# Each difference is of these settings, for this reason.
_REASONS = {
    "end mark in (gpt2)": (
        "`--end-mark in`, the default",
        "the end mark counts as one more token; there it never does",
    ),
    "add_bos_token=True (gpt2)": (
        "`add_bos_token=True` there, GPT-2",
        "prompts begin with a token that the tokenizer does not add by itself",
    ),
    "add_bos_token=False (llama)": (
        "`add_bos_token=False` there, Llama",
        "prompts lack the begin token that the tokenizer adds",
    ),
    "delimiter after white space (gpt2)": (
        '`target_delimiter: " "` for prompts that end in white space',
        "there, a second space stands before the choice; taskweb writes one only after other characters",
    ),
    "no prompt, no delimiter (gpt2)": (
        '`target_delimiter: ""`, without a prompt',
        "only `acc_mutual_info`: there the choice follows the begin token directly, here after a space",
    ),
    "prompts longer than the context (gpt2)": (
        "prompts of more than 128 tokens",
        "there the first tokens are cut, here whole words, so that other words remain",
    ),
    "template without the begin token (llama-chat-without-bos)": (
        "Llama, a chat template that writes no begin token",
        "the tokenizer adds one there; here the template alone says what is written, as in `apply_chat_template`",
    ),
    "template that writes a space before the answer (llama-instructions)": (
        "Llama, a chat template that writes a space before an answer",
        "here the space belongs to the answer, as in training; there choices follow without it",
    ),
    "thoughts not switched off (qwen3)": (
        "Qwen3 without `enable_thinking=False`",
        "the template writes empty thoughts before every answer; here they belong to the prompt, as in training; there "
        "they are missing",
    ),
}


def disagreements() -> str:
    """Where both tools differ, by how much, and why."""
    rows = []
    for name, tasks in figures("evaluation/lm_eval_agreement")["differences"].items():
        label, why = _REASONS[name]
        given = max(own["largest_difference"] for own in tasks.values())
        bare = max(own["largest_difference_without_prompt"] for own in tasks.values())
        largest = f"{given:.1f}" if given >= 0.1 else f"{given:.1e}; {bare:.1f} without prompt"
        other = f"{sum(own['other_answers'] for own in tasks.values())} of {sum(own['rows'] for own in tasks.values())}"
        rows.append((label, largest, other, why))
    return table(("what", "largest difference", "other answers", "why"), rows)


# Store


def tidy_files() -> str:
    """Scores straight from tidy Parquet files."""
    rows = [
        (f"{row['rows']:,}", f"{row['tasks']:,}", f"{row['score_seconds']:.2f}", f"{row['score_peak_mb']:.0f}")
        for row in figures("store/store_throughput")["parquet"]
    ]
    return table(("rows", "tasks", "seconds", "memory, MB"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "published_web": published_web,
    "blend_margins": blend_margins,
    "small_webs_by_truth": small_webs_by_truth,
    "measured_policies": measured_policies,
    "measured_setups": measured_setups,
    "measured_margins": measured_margins,
    "measured_front": measured_front,
    "evidence_of_setups": evidence_of_setups,
    "bought_rows": bought_rows,
    "whole_webs_margins": whole_webs_margins,
    "large_web_plans": large_web_plans,
    "study_sanity": study_sanity,
    "study_pivots": study_pivots,
    "study_ksweep": study_ksweep("points", "sources"),
    "study_chosen_by": study_ksweep("chosen_by", "five chosen by"),
    "study_unhelpful": study_ksweep("unhelpful", "unhelpful of five"),
    "trials_by_family": trials_by_family,
    "refine_trial_by_family": refine_trial_by_family,
    "added_sources": added_sources,
    "planted_families": planted_families,
    "evaluation_by_task": evaluation_by_task,
    "evaluation_on_two_cores": evaluation_on_two_cores,
    "agreement_by_task": agreement_by_task,
    "disagreements": disagreements,
    "tidy_files": tidy_files,
}
