"""The page that travels with an exported model: what it is, what it was trained on, how good it is, how to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def model_card(card: Mapping[str, Any], decoders: int, file: str) -> str:
    """Markdown of a model's facts (`portable.Card` as a dict).

    Args:
        card: The facts.
        decoders: Number of trained decoders in the file.
        file: Its name, for the commands that use it.
    """
    datasets = "\n".join(
        f"* **{source['title']}** (`{source['name']}`), {source['subjects']} people"
        + (", simulated" if source["simulated"] else "")
        + f"\n  * licence: {source['licence']}\n  * cite: {source['citation']}"
        for source in card["sources"]
    )
    return f"""# A brainreel model: {card["strategy"]} → {card["target"]}

It maps responses of the cortex to vectors of a frozen encoder (stage 1 of brainreel {card["brainreel"]}). This file
holds {decoders} decoder{"s" * (decoders != 1)}, one per fold and seed of training; folds: `{json.dumps(card["folds"])}`.

## Trained on {card["subjects"]} people

{datasets}

The licences above apply to what was learnt from the data too, unless their authors say otherwise.

## Whose data are in it

{_contents(card)}

## How good it is

{_scores(card)}

## How to use it

```
brainreel import {file} --out runs/imported
brainreel encode STORE --encoder {card["target"]}
brainreel adapt runs/imported STORE --subject S --minutes 5
```

STORE is a store in a space that the model was trained in. `--minutes 0` needs none of the person's own data.

## Not for

Decisions about people. A score above chance on a laboratory's stimuli says nothing about anybody's thoughts.

## Settings

```json
{json.dumps({"encoder": card["encoder"], **card["settings"]}, indent=1)}
```
"""


def _contents(card: Mapping[str, Any]) -> str:
    if card["with_subjects"]:
        return (
            "**Parameters of single people are in it** (`--with-subjects`): their adapters and the mean and spread of "
            "their responses. Treat the file like the recordings themselves."
        )
    return (
        "Nobody's alone. No responses are in it, and of what was learnt only means over two or more people: the common "
        "part of the adapters, the trunk, the population's scaling, and each clip's mean latent."
    )


def _scores(card: Mapping[str, Any]) -> str:
    if not card["scores"]:
        return "Not evaluated before export (`brainreel evaluate` makes the scores)."
    lines = ["| dataset | metric | value | 95 % interval | chance |", "|---|---|---|---|---|"]
    for row in card["scores"]:
        ends = "–" if row["ci95"] is None else f"{row['ci95'][0]:.3f} to {row['ci95'][1]:.3f}"
        lines.append(f"| {row['dataset']} | {row['metric']} | {_number(row['value'])} | {ends} | {row['chance']:.3f} |")
    return "Means over the people it was trained on, on test trials of each fold:\n\n" + "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
