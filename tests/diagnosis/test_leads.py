"""diagnosis/leads.py: which lead is larger than the noise."""

import math

import numpy as np
import pytest
from scipy import stats

from trainwell.diagnosis.leads import KIND, lead_is_real, paired_lead, sampling_noise, values_noise


def test_a_paired_lead_is_the_statistic_of_a_paired_t_test() -> None:
    draw = np.random.default_rng(0)
    losses = draw.exponential(size=200)
    others = losses - 0.05 + 0.2 * draw.normal(size=200)
    assert paired_lead(losses.tolist(), others.tolist()) == pytest.approx(stats.ttest_rel(losses, others).statistic)
    assert paired_lead(others.tolist(), losses.tolist()) == pytest.approx(
        -paired_lead(losses.tolist(), others.tolist())
    )


def test_what_all_samples_share_cancels() -> None:
    draw = np.random.default_rng(1)
    hard = 10.0 * draw.exponential(size=400)
    better = hard - 0.1 + 0.2 * draw.normal(size=400)
    assert paired_lead(hard.tolist(), better.tolist()) > KIND
    assert abs(stats.ttest_ind(hard, better).statistic) < 1.0


@pytest.mark.parametrize(
    ("losses", "others", "lead"),
    [([], [], 0.0), ([1.0], [0.0], 0.0), ([1.0, 2.0], [1.0, 2.0], 0.0), ([1.0, 2.0], [0.5, 1.5], math.inf)],
)
def test_a_paired_lead_of_next_to_nothing(losses: list[float], others: list[float], lead: float) -> None:
    assert paired_lead(losses, others) == lead


def test_a_lead_counts_beyond_the_noise_from_seed_to_seed_and_of_the_sample() -> None:
    sample = sampling_noise(0.2, 1000)
    assert lead_is_real(0.2 - 2 * sample, 0.2, noise=math.nan, samples=1000)
    assert not lead_is_real(0.2 - sample, 0.2, noise=math.nan, samples=1000)
    assert not lead_is_real(0.2 - 2 * sample, 0.2, noise=sample, samples=1000)
    assert lead_is_real(0.5, math.inf, noise=math.nan, samples=1000)


def test_noise_of_what_was_not_measured_twice_is_unknown() -> None:
    assert math.isnan(values_noise([0.1, math.inf]))
    assert values_noise([0.1, 0.3]) == pytest.approx(np.std([0.1, 0.3], ddof=1))
