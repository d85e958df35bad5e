"""What the sandbox claims, read from an experiment's metrics.json: each difference's interval decides, nothing else.

The experiment is what `brainreel.sandbox.recipe` leaves with ``compare``: the same people read by models that know more
and less of them. A claim without an interval is not measurable, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ..evaluate.identification import SHUFFLES
from ..evaluate.tables import with_interval
from ..evaluate.video_fold import DERANGEMENTS
from ..pipeline.nearest_clips import VARIANT as NEAREST
from ..pipeline.plan import NEWCOMER
from ..pipeline.true_vectors import NAME as TRUE
from ..sandbox.comparisons import ALL, ALONE, ONE_DATASET, ZERO_SHOT

Row = Mapping[str, Any]
Expected = Literal["above 0", "contains 0", "reported"]
Verdict = Literal["holds", "does not hold", "reported", "not measurable"]
CLIPS, SEEDS, BELOW = 200, 3, 0.98
TEXT = f"{ALL}+text-to-video"
NULLS = ("flat grey", "mean training clip", "blurred nearest clip")


class Measure(NamedTuple):
    """One measure, as rows of metrics.json name it."""

    label: str
    metric: str
    definition: str | None = None
    ways: int | None = None

    def fits(self, row: Row) -> bool:
        """Whether a row is of this measure; rows of stage 1 name no definition in differences."""
        return row["metric"] == self.metric and all(
            asked is None or row.get(key) == asked
            for key, asked in (("definition", self.definition), ("ways", self.ways))
        )


class Claim(NamedTuple):
    """What is claimed of a difference, in stage 1 and of videos.

    Attributes:
        says: In words.
        expected: Of the difference's 95 % interval.
        aligned: First and second in stage 1, as differences name them.
        filmed: First and second of videos.
    """

    says: str
    expected: Expected
    aligned: tuple[str, str]
    filmed: tuple[str, str]


IDENTIFICATION = Measure("two-way identification (stage 1)", "two_way_identification")
FILMED = tuple(Measure(f"{n}-way accuracy, exact (videos)", "n_way_accuracy", "exact", n) for n in (2, 50))
CLAIMS = (
    Claim("true vectors > many subjects", "above 0", (TRUE, ALL), (f"{ALL}, oracle", ALL)),
    Claim("many subjects > one subject alone", "above 0", (ALL, ALONE), (ALL, ALONE)),
    Claim("many subjects > the unseen subject", "above 0", (ALL, ZERO_SHOT), (ALL, NEWCOMER)),
    Claim(
        "the unseen subject > shuffled",
        "above 0",
        (ZERO_SHOT, f"{ZERO_SHOT}, shuffled"),
        (NEWCOMER, f"{NEWCOMER}, shuffled"),
    ),
    Claim(
        "the unseen subject, shuffled = chance",
        "contains 0",
        (f"{ZERO_SHOT}, shuffled", f"{ZERO_SHOT}, chance"),
        (f"{NEWCOMER}, shuffled", f"{NEWCOMER}, chance"),
    ),
    Claim(
        "many subjects, shuffled = chance",
        "contains 0",
        (f"{ALL}, shuffled", f"{ALL}, chance"),
        (f"{ALL}, shuffled", f"{ALL}, chance"),
    ),
    Claim("many datasets − one dataset", "reported", (ALL, ONE_DATASET), (ALL, ONE_DATASET)),
)
RIVALS = (
    (ALL, TEXT),
    *((made, f"{made}, {null}") for made in (ALL, TEXT) for null in NULLS),
    *((made, f"{ALL}+{NEAREST}") for made in (ALL, TEXT)),
)
JUDGED = (
    *(Measure(f"{n}-way accuracy", "n_way_accuracy", "exact", n) for n in (2, 50)),
    Measure("CLIP similarity", "clip_similarity"),
    Measure("SSIM", "ssim", "gaussian-rgb"),
    Measure("pixel correlation", "pixel_correlation"),
    Measure("hue correlation", "hue_correlation"),
    Measure("direction of motion", "direction_agreement"),
)


def read_claims(document: Row, dataset: str) -> dict[str, Any]:
    """Every claim's row and verdict, video-to-video against its rivals, and the highest score.

    Args:
        document: The content of metrics.json.
        dataset: The dataset that the people who were left out belong to.

    Returns:
        ``claims`` and ``rivals`` (rows of differences; ``verdict`` of claims), ``below`` (how high scores go),
        ``enough`` (whether every claim that could be measured had ≥ 200 clips, ≥ 3 seeds and ≥ 100 derangements).
    """
    claims = [
        {"claim": claim.says, "expected": claim.expected, **_difference(document, dataset, measure, *pair)}
        for claim in CLAIMS
        for measure, pair in ((IDENTIFICATION, claim.aligned), *((each, claim.filmed) for each in FILMED))
    ]
    claims = [{**row, "verdict": verdict(row["ci95"], row["expected"])} for row in claims]
    rivals = [_difference(document, dataset, measure, *pair) for pair in RIVALS for measure in JUDGED]
    measured = [row for row in claims if row["verdict"] != "not measurable"]
    enough = bool(measured) and all(row["clips"] >= CLIPS and row["seeds"] >= SEEDS for row in measured)
    return {
        "dataset": dataset,
        "claims": claims,
        "rivals": rivals,
        "below": highest(document["scores"]),
        "enough": enough and min(SHUFFLES, DERANGEMENTS) >= 100,
    }


def verdict(ci95: Sequence[float] | None, expected: Expected) -> Verdict:
    """What an interval says of what was expected of it."""
    if ci95 is None:
        return "not measurable"
    if expected == "reported":
        return "reported"
    low, high = ci95
    return "holds" if (low > 0 if expected == "above 0" else low <= 0 <= high) else "does not hold"


def highest(scores: Sequence[Row]) -> dict[str, Any]:
    """The highest score of a model or an oracle, and all that reach .98; only scores whose best is 1.

    Not counted: the true vectors in stage 1, which identify themselves by definition, and retrieved training clips,
    which nothing made.
    """
    found = [
        {**{key: row.get(key) for key in ("metric", "definition", "ways", "strategy", "dataset", "subject")}, "of": key}
        | {"value": row[key]}
        for row in scores
        if row["direction"] == "higher" and row["unit"] != "dB" and row.get("mode") != "retrieval"
        if row["strategy"] != TRUE
        for key in ("value", "ceiling")
        if row.get(key) is not None
    ]
    found.sort(key=lambda one: -one["value"])
    return {
        "limit": BELOW,
        "scores": len(found),
        "highest": found[0] if found else None,
        "at_or_above": [one for one in found if one["value"] >= BELOW],
    }


def _difference(document: Row, dataset: str, measure: Measure, first: str, second: str) -> dict[str, Any]:
    """First minus second, whichever way round it was computed; nulls where it was not."""
    row, sign = None, 1
    for one in document["differences"]:
        pair = one["first"], one["second"]
        if one["dataset"] == dataset and measure.fits(one) and pair in ((first, second), (second, first)):
            row, sign = one, 1 if pair == (first, second) else -1
    found = row or {}
    ends = found.get("ci95")
    value = found.get("value")
    return {
        "measure": measure.label,
        "metric": measure.metric,
        "definition": measure.definition,
        "ways": measure.ways,
        "first": first,
        "second": second,
        "value": None if value is None else sign * value,
        "ci95": None if ends is None else sorted(sign * end for end in ends),
        "bootstrap": found.get("bootstrap"),
        "subjects": found.get("subjects"),
        "clips": found.get("n_units"),
        "seeds": min(_seeds(document["scores"], measure, name) for name in (first, second)),
        "direction": found.get("direction", "higher"),
    }


def _seeds(scores: Sequence[Row], measure: Measure, name: str) -> int:
    """How many trainings a side is the mean of; what was never trained counts as enough."""
    method = name.partition(", ")[0]
    if method == TRUE:
        return SEEDS
    seeds = [row["seeds"] for row in scores if row["strategy"] == method and measure.fits(row)]
    return min((len(one) for one in seeds), default=0)


def markdown(found: Row) -> str:
    """The tables, for docs/sandbox.md."""
    return "\n\n".join([*_claims(found), _rivals(found), _below(found["below"])]) + "\n"


def _claims(found: Row) -> Iterator[str]:
    header = ("claim", "measure", "difference [95 %]", "people × clips, seeds", "")
    rows = [
        (
            row["claim"],
            row["measure"],
            with_interval(row["value"], row["ci95"]),
            "" if row["clips"] is None else f"{row['subjects']} × {row['clips']}, {row['seeds']}",
            f"**{row['verdict']}**" if row["verdict"] == "does not hold" else row["verdict"],
        )
        for row in found["claims"]
    ]
    yield f"On `{found['dataset']}`; intervals resample people and clips together.\n\n{_table(header, rows)}"
    if not found["enough"]:
        yield f"With fewer than {CLIPS} test clips or {SEEDS} seeds these rows decide nothing."


def _rivals(found: Row) -> str:
    """A row for each pair; bold where the first is better with 95 % confidence."""
    labels = [measure.label for measure in JUDGED]
    cells = {(row["first"], row["second"], row["measure"]): row for row in found["rivals"]}
    rows = [
        (f"{_words(first)} − {_words(second)}", *(_cell(cells[first, second, label]) for label in labels))
        for first, second in RIVALS
    ]
    return f"Paired differences; bold: above 0.\n\n{_table(('videos of the model of everybody', *labels), rows)}"


def _cell(row: Row) -> str:
    told = with_interval(row["value"], row["ci95"])
    return f"**{told}**" if verdict(row["ci95"], "above 0") == "holds" else told


def _words(name: str) -> str:
    method, _, control = name.partition(", ")
    made = {ALL: "video-to-video", TEXT: "text-to-video", f"{ALL}+{NEAREST}": "nearest training clip"}[method]
    return control or made


def _below(found: Row) -> str:
    top = found["highest"]
    if top is None:
        return "No score of a model or an oracle has a value."
    high = ", ".join(
        f"{one['metric']} of {one['strategy']} on {one['dataset']} ({one['of']}, {one['subject'] or 'everybody'}): "
        f"{one['value']:.3f}"
        for one in found["at_or_above"]
    )
    told = f"Highest of {found['scores']} scores of models and oracles: {top['value']:.3f} ({top['metric']}, "
    return f"{told}{top['strategy']}). " + (f"**Not below {BELOW}**: {high}." if high else f"All are below {BELOW}.")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows))
