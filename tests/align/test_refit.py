"""Adapters in closed form: against scikit-learn, against loops, and at the ends of the penalty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from brainreel.align.config import ContrastiveConfig
from brainreel.align.contrastive import mean_latents, refit
from brainreel.align.examples import Block
from brainreel.align.network import AlignNetwork
from brainreel.align.refit import clip_sums, mean_of_others, ridge_solve, solve_adapter
from brainreel.training.randomness import generator


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("trials", "features"), [(40, 12), (12, 40), (20, 20)])
@pytest.mark.parametrize("penalty", [0.1, 30.0])
def test_ridge_over_features_or_trials_equals_scikit_learn_for_all_subjects_at_once(trials, features, penalty):
    design, outcome = normal(3, trials, features), normal(3, trials, 4, seed=1)
    found = ridge_solve(design, outcome, penalty)
    for subject in range(3):
        oracle = Ridge(alpha=penalty, fit_intercept=False).fit(design[subject].numpy(), outcome[subject].numpy())
        np.testing.assert_allclose(found[subject].numpy(), oracle.coef_.T, rtol=1e-8, atol=1e-10)


def test_the_two_ways_to_solve_are_the_same_at_the_point_where_they_switch():
    """A column of zeros more turns «over features» into «over trials» and must change nothing else."""
    design, outcome = normal(2, 15, 15), normal(2, 15, 3, seed=1)
    wide = torch.cat([design, torch.zeros(2, 15, 1, dtype=torch.float64)], dim=2)
    narrow, padded = ridge_solve(design, outcome, 2.0), ridge_solve(wide, outcome, 2.0)
    torch.testing.assert_close(padded[:, :-1], narrow, rtol=1e-9, atol=1e-12)
    assert (padded[:, -1] == 0).all()


def loop_mean_of_others(latent, clip):
    """Mean over the other subjects of each one's mean over repetitions."""
    goal, there = np.zeros_like(latent), np.zeros(clip.shape)
    for s, t in np.ndindex(clip.shape):
        if clip[s, t] < 0:
            continue
        means = [
            latent[o][clip[o] == clip[s, t]].mean(0)
            for o in range(len(clip))
            if o != s and (clip[o] == clip[s, t]).any()
        ]
        if means:
            goal[s, t], there[s, t] = np.mean(means, 0), 1
    return goal, there


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 9), st.integers(1, 12))
def test_mean_of_others_leaves_oneself_out_and_counts_subjects_equally(seed, subjects, trials, clips):
    """Few clips make repetitions, many make clips that only one subject saw; -1 is padding anywhere."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(subjects, trials, 3))
    clip = rng.integers(-1, clips, (subjects, trials))
    goal, there = mean_of_others(torch.from_numpy(latent), torch.from_numpy(clip), clips)
    expected, known = loop_mean_of_others(latent, clip)
    np.testing.assert_array_equal(there.numpy(), known)
    np.testing.assert_allclose((goal * there[..., None]).numpy(), expected, atol=1e-12)


def test_a_trials_own_latent_never_enters_its_goal():
    latent, clip = normal(3, 6, 2), torch.tensor([[0, 1, 2, 0, 1, 2]] * 3)
    goal, _ = mean_of_others(latent, clip, 3)
    changed = latent.clone()
    changed[1] = 1e6
    again, _ = mean_of_others(changed, clip, 3)
    torch.testing.assert_close(again[1], goal[1])
    assert not torch.allclose(again[0], goal[0])


def test_clip_sums_ignores_padding():
    values = normal(2, 4, 3)
    clip = torch.tensor([[1, 1, -1, 0], [-1, -1, -1, 2]])
    sums, counts = clip_sums(values, clip, 4)
    assert counts.tolist() == [[1, 2, 0, 0], [0, 0, 1, 0]]
    torch.testing.assert_close(sums[0, 1], values[0, 0] + values[0, 1])
    torch.testing.assert_close(sums[1, 2], values[1, 3])
    assert sums[1, 0].abs().sum() == 0


def problem(trials=30, features=8, latent=3):
    there = torch.ones(2, trials, dtype=torch.float64)
    there[1, -5:] = 0
    return normal(2, trials, features), normal(2, trials, latent, seed=1), there, normal(features, latent, seed=2)


def test_an_infinite_penalty_leaves_the_common_map():
    responses, goal, there, common = problem()
    delta, bias = solve_adapter(responses, goal, there, common, 1e15)
    assert delta.abs().max() < 1e-12
    torch.testing.assert_close(bias[0, 0], goal[0].mean(0))
    torch.testing.assert_close(bias[1, 0], goal[1, :-5].mean(0))


def test_without_a_penalty_the_adapter_is_least_squares_whatever_the_prior():
    responses, goal, there, common = problem()
    for prior in (common, torch.zeros_like(common)):
        delta, bias = solve_adapter(responses, goal, there, prior, 1e-9)
        for subject, count in ((0, 30), (1, 25)):
            x, y = responses[subject, :count].numpy(), (goal[subject, :count] - bias[subject]).numpy()
            least = np.linalg.lstsq(x, y, rcond=None)[0]
            np.testing.assert_allclose((prior + delta[subject]).numpy(), least, atol=1e-7)


def test_trials_without_a_goal_do_not_count():
    responses, goal, there, common = problem()
    spoilt, wrong = responses.clone(), goal.clone()
    spoilt[1, -5:], wrong[1, -5:] = 1e4, -1e4
    one = solve_adapter(responses, goal, there, common, 3.0)
    other = solve_adapter(spoilt, wrong, there, common, 3.0)
    torch.testing.assert_close(one, other)


def test_a_given_bias_is_kept():
    responses, goal, there, common = problem()
    bias = normal(2, 1, 3, seed=9)
    delta, same = solve_adapter(responses, goal, there, common, 2.0, bias)
    assert torch.equal(same, bias)
    oracle = Ridge(alpha=2.0, fit_intercept=False).fit(responses[0], goal[0] - bias[0] - responses[0] @ common)
    np.testing.assert_allclose(delta[0].numpy(), oracle.coef_.T, atol=1e-9)


@pytest.fixture
def world():
    """Two spaces of different widths; the last subject of the first saw clips that nobody else saw."""
    noise = generator("refit")
    network = AlignNetwork({"narrow": (3, 6), "wide": (2, 11)}, 5, 4, 1, 0.0, 0.0, noise)
    with torch.no_grad():
        for adapter in (network.adapter("narrow"), network.adapter("wide")):
            adapter.delta.normal_(generator=noise)
            adapter.bias.normal_(generator=noise)
    network.requires_grad_(False)
    clip = torch.arange(20).repeat(3, 1)
    clip[2] += 20
    clip[1, 15:] = -1
    narrow = Block("narrow", ("a", "b", "c"), torch.randn(3, 20, 6, generator=noise), clip)
    wide = Block("wide", ("d", "e"), torch.randn(2, 14, 11, generator=noise), torch.arange(14).repeat(2, 1) + 3)
    return network, [narrow, wide]


def test_refit_moves_everybody_towards_the_others_and_leaves_the_trunk_alone(world):
    network, data = world
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = ContrastiveConfig(refit_penalty=1.0)
    refitted = refit(network, data, 40, settings)

    def disagreement(model):
        latent = torch.zeros(5, 20, 5)
        for rows, block in zip((slice(0, 3), slice(3, 5)), data, strict=True):
            latent[rows, : block.clip.shape[1]] = model.adapter(block.space)(block.responses)
        clip = torch.full((5, 20), -1)
        clip[:3], clip[3:, :14] = data[0].clip, data[1].clip
        goal, there = mean_of_others(latent, clip, 40)
        return ((latent - goal).square().sum(-1) * there).sum(1)

    was, now = disagreement(network), disagreement(refitted)
    assert (now[[0, 1, 3, 4]] < 0.9 * was[[0, 1, 3, 4]]).all(), (was, now)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), f"refit changed {name} of the network it was given"
    for name, value in refitted.state_dict().items():
        if not name.endswith(("delta", "bias")):
            assert torch.equal(value, before[name]), f"refit changed {name}"


def test_refit_is_the_ridge_towards_the_mean_latent_of_all_others_in_any_space(world):
    network, data = world
    refitted = refit(network, data, 40, ContrastiveConfig(refit_penalty=3.0))
    latents = {
        subject: {int(c): z for c, z in zip(clips, zs, strict=True) if c >= 0}
        for block in data
        for subject, clips, zs in zip(
            block.subjects, block.clip, network.adapter(block.space)(block.responses), strict=True
        )
    }
    for block in data:
        for row, subject in enumerate(block.subjects):
            if subject == "c":
                continue
            x, y = [], []
            for trial, clip in enumerate(block.clip[row].tolist()):
                others = [seen[clip] for name, seen in latents.items() if name != subject and clip in seen]
                if clip >= 0 and others:
                    x.append(block.responses[row, trial].numpy())
                    y.append(torch.stack(others).mean(0).numpy())
            design, goal = np.array(x), np.array(y)
            adapter = refitted.adapter(block.space)
            rest = goal - goal.mean(0) - design @ adapter.common.numpy()
            oracle = Ridge(alpha=3.0, fit_intercept=False, solver="svd").fit(design, rest)
            np.testing.assert_allclose(adapter.delta[row].numpy(), oracle.coef_.T, atol=1e-4)
            np.testing.assert_allclose(adapter.bias[row, 0].numpy(), goal.mean(0), atol=1e-5)


def test_a_subject_without_common_clips_keeps_the_adapter_that_was_trained(world):
    network, data = world
    refitted = refit(network, data, 40, ContrastiveConfig(refit_penalty=1.0, refit_rounds=3))
    old, new = network.adapter("narrow"), refitted.adapter("narrow")
    assert torch.equal(new.delta[2], old.delta[2])
    assert torch.equal(new.bias[2], old.bias[2])
    assert not torch.equal(new.delta[0], old.delta[0])


def test_mean_latents_by_hand(world):
    network, data = world
    found = mean_latents(network, data, 41)
    latents = [network.adapter(block.space)(block.responses) for block in data]
    for clip in range(41):
        seen = [
            z[row][block.clip[row] == clip].mean(0)
            for z, block in zip(latents, data, strict=True)
            for row in range(len(block.subjects))
            if (block.clip[row] == clip).any()
        ]
        if seen:
            torch.testing.assert_close(found[clip], torch.stack(seen).mean(0), rtol=1e-4, atol=1e-5)
        else:
            assert found[clip].isnan().all()
    assert found.isnan().any(1).sum() == 1
