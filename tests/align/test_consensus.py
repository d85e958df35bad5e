"""Consensus: alone means alone, and the others' answers carry what single brains cannot."""

from __future__ import annotations

import numpy as np
import torch

from brainreel.align.config import AlignConfig, ConsensusConfig, ContrastiveConfig
from brainreel.align.consensus import fit_consensus, mean_answers
from brainreel.align.decoders import dump_decoder, load_decoder
from brainreel.align.examples import Recording, blocks
from brainreel.align.goals import Goals
from brainreel.align.losses import contrastive_loss
from brainreel.align.newcomers import shrunk_scaling
from brainreel.align.soloists import fit_soloists, solo_losses
from brainreel.cortex.standardise import Scaling, fit_scaling
from brainreel.metrics.identification import two_way_identification

CLIPS, DIM, TEST = 120, 12, 40


def world(people=6, features=30, noise=3.0, seed=0):
    """Clips with hidden meaning; everybody's vertices mix it in their own way, with much noise of their own."""
    rng = np.random.default_rng(seed)
    meaning = rng.normal(size=(CLIPS + TEST, DIM)).astype(np.float32)
    meaning -= meaning[:CLIPS].mean(0)
    shared = rng.normal(size=(DIM, features))
    responses = [
        (meaning @ (shared + 0.3 * rng.normal(size=shared.shape)) + noise * rng.normal(size=(CLIPS + TEST, features)))
        for _ in range(people)
    ]
    return meaning, [values.astype(np.float32) for values in responses]


def goals(meaning):
    count = len(meaning)
    zero = np.zeros(count)
    return Goals(meaning, np.zeros(DIM, np.float32), np.arange(count), zero, zero + 1)


def recording(name, values, space="v"):
    train = values[:CLIPS]
    return Recording(name, space, train, np.arange(CLIPS), fit_scaling(train), np.ones(values.shape[1], np.float32))


CONFIG = AlignConfig(
    strategy="consensus",
    contrastive=ContrastiveConfig(latent=24, steps=30),
    consensus=ConsensusConfig(penalty=30.0, newcomer_penalty=30.0),
)


def score(decoder, responses, meaning):
    return np.mean(
        [
            two_way_identification(decoder.embed(f"p{i}", v[CLIPS:]), meaning[CLIPS:]).mean()
            for i, v in enumerate(responses)
        ]
    )


def test_the_others_answers_help_and_the_decoder_survives_saving(tmp_path):
    meaning, responses = world()
    people = [recording(f"p{i}", values) for i, values in enumerate(responses)]
    decoder, alone = fit_consensus(people, goals(meaning), CONFIG)
    together, before = score(decoder, responses, meaning), score(alone, responses, meaning)
    assert before > 0.6
    assert together > before + 0.01
    (tmp_path / "d.safetensors").write_bytes(dump_decoder(decoder, {}))
    again, _ = load_decoder(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(again.embed("p0", responses[0]), decoder.embed("p0", responses[0]))
    np.testing.assert_array_equal(again.embed_newcomer("v", responses[0]), decoder.embed_newcomer("v", responses[0]))


def test_people_need_not_share_vertices():
    meaning, responses = world()
    people = [recording(f"p{i}", values[:, i:], f"space-{i}") for i, values in enumerate(responses)]
    decoder, alone = fit_consensus(people, goals(meaning), CONFIG)
    cut = [values[:, i:] for i, values in enumerate(responses)]
    assert score(decoder, cut, meaning) > score(alone, cut, meaning)


def test_an_unseen_person_is_read_above_chance():
    meaning, responses = world()
    people = [recording(f"p{i}", values) for i, values in enumerate(responses[:-1])]
    decoder, _ = fit_consensus(people, goals(meaning), CONFIG)
    embedding = decoder.embed_newcomer("v", responses[-1][CLIPS:])
    assert two_way_identification(embedding, meaning[CLIPS:]).mean() > 0.6


def test_nobody_learns_from_anybody_while_alone():
    """Another person's data may change as they like: the weights stay the same, bit for bit."""
    meaning, responses = world(people=3)
    people = [recording(f"p{i}", values) for i, values in enumerate(responses)]
    settings = ContrastiveConfig(latent=8, steps=4)
    (block,) = blocks(people)
    one = fit_soloists(block, goals(meaning), settings, ("x",), None)
    people[2] = recording("p2", responses[2] * -7 + 3)
    (changed,) = blocks(people)
    other = fit_soloists(changed, goals(meaning), settings, ("x",), None)
    assert torch.equal(one.adapter[:2], other.adapter[:2])
    assert not torch.equal(one.adapter[2], other.adapter[2])


def test_known_soloists_are_not_trained_again():
    meaning, responses = world(people=4)
    people = [recording(f"p{i}", values) for i, values in enumerate(responses)]
    _, alone = fit_consensus(people, goals(meaning), CONFIG)
    fewer, same = fit_consensus(people[:3], goals(meaning), CONFIG, soloists=alone)
    np.testing.assert_array_equal(same.maps["p1"], alone.maps["p1"])
    without, _ = fit_consensus(people[:3], goals(meaning), CONFIG.model_copy(update={"seed": 1}), soloists=alone)
    np.testing.assert_array_equal(without.maps["p1"], fewer.maps["p1"])


def test_solo_losses_are_each_persons_own_loss():
    rng = torch.Generator().manual_seed(0)
    embedding, target = torch.randn(3, 7, 5, generator=rng), torch.randn(6, 5, generator=rng)
    clip = torch.randint(0, 6, (3, 7), generator=rng)
    clip[1, 4:] = -1
    clip[2] = -1
    scale = torch.tensor([2.0, 5.0, 9.0])
    found = solo_losses(embedding, target, clip, scale)
    for person in range(2):
        expected = contrastive_loss(embedding[person], target, clip[person], scale[person])
        torch.testing.assert_close(found[person], expected)
    assert found[2] == 0


def test_mean_answers_count_people_and_not_repetitions():
    people = [
        Recording(
            f"p{i}",
            "v",
            np.zeros((len(clip), 1), np.float32),
            np.array(clip),
            Scaling(np.zeros(1, np.float32), np.ones(1, np.float32)),
            np.ones(1, np.float32),
        )
        for i, clip in enumerate(([0, 0, 1], [0, 2]))
    ]
    data = blocks(people)
    answers = [torch.tensor([[[1.0], [3.0], [5.0]], [[10.0], [7.0], [99.0]]])]
    found = mean_answers(data, answers, 4)[:, 0]
    torch.testing.assert_close(found, torch.tensor([6.0, 5.0, 7.0, torch.nan]), equal_nan=True)


def test_statistics_of_few_trials_are_drawn_to_the_populations():
    own, everybody = Scaling(np.array([4.0]), np.array([3.0])), Scaling(np.array([0.0]), np.array([1.0]))
    none, half = shrunk_scaling(own, 0, everybody, 400.0), shrunk_scaling(own, 400, everybody, 400.0)
    np.testing.assert_allclose([none.mean[0], none.std[0]], [0, 1])
    # A mixture of both: mean 2, variance the mean of both variances and the spread of their means.
    np.testing.assert_allclose([half.mean[0], half.std[0] ** 2], [2, (9 + 4 + 1 + 4) / 2])


def test_subjects_in_portions_train_the_same_network():
    """Less memory, the same gradient: without dropout the weights agree."""
    from brainreel.align.contrastive import fit_network
    from brainreel.align.network import AlignNetwork
    from brainreel.training.randomness import generator

    meaning, responses = world(people=5)
    data = blocks([recording(f"p{i}", values) for i, values in enumerate(responses)])
    states = []
    for portion in (None, 2):
        settings = ContrastiveConfig(
            latent=8, steps=3, dropout_in=0.0, dropout_hidden=0.0, subjects_at_once=portion, weight_decay=0.0, lr=1e-2
        )
        network = AlignNetwork({"v": (5, 30)}, 8, DIM, 1, 0.0, 0.0, generator("same"))
        fit_network(network, data, goals(meaning), settings, ("x",), None)
        states.append(network.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-3, atol=1e-4)
