"""Simple models on the same split and metric: what a network must beat to be worth its trouble."""

import warnings
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainwell.core.records.evidence import Yardstick
from trainwell.core.records.layout import InputLayout
from trainwell.data.dataset import Dataset
from trainwell.training.objective import score, standardize
from trainwell.training.observe import EVALUATION_BATCH

CELLS = 4_000_000
"""Samples x features x classes that a yardstick is fitted on: a few seconds on one core."""
LEAST = 200
"""Samples that a yardstick is fitted on at least."""
WORK = 1_000
"""Features x classes for which HistGradientBoosting has its default of 100 rounds: two seconds on two cores.
Pictures are made smaller to fit; wider tables get fewer rounds."""
ROUNDS = 100
LEAST_ROUNDS = 5
SHARE = 0.1
"""Of the budget, that HistGradientBoosting may take: on a busy machine its threads wait for each other."""
PICTURES_SHARE = 0.03
"""The same of pictures, of whose pixels it makes little: networks need the time more."""


def measure_yardsticks(dataset: Dataset, *, seed: int, budget_seconds: float | None) -> tuple[Yardstick, ...]:
    """Fit the yardsticks on the training part and score them on validation and on test.

    The best constant is the class shares or the mean; the linear model is logistic regression or least squares with a
    little ridge on standardized features; HistGradientBoosting has scikit-learn's defaults. Where samples x features x
    classes exceed `CELLS`, the last two see a sample; where its rounds would take more than `SHARE` of the budget (of
    pictures `PICTURES_SHARE`), HistGradientBoosting is stopped; and their name says so. Pictures are averaged over
    squares until features x classes are at most `WORK`.

    Args:
        dataset: prepared.
        seed: of the sample and of HistGradientBoosting.
        budget_seconds: of the run; None: no clock is read.
    Returns:
        Best constant, linear model, HistGradientBoosting. Their figures on the test part decide nothing.
    """
    record = dataset.record
    found = [_best_constant(dataset)]
    train = dataset.parts["train"]
    features = max(int(np.prod(shrunk(dataset, train[:1]).shape[1:])), 1)
    most = max(CELLS // (features * (record.output.size if record.task == "classification" else 1)), LEAST)
    sampled = len(train) > most
    if sampled:
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        train = train[order[:most].sort().values]
    share = SHARE if record.input.kind == "table" else PICTURES_SHARE
    for name, model in _models(dataset, seed, features):
        began = 0.0 if budget_seconds is None else perf_counter()
        made, rounds = _scored(
            model, dataset, train, seconds=None if budget_seconds is None else share * budget_seconds
        )
        seconds = 0.0 if budget_seconds is None else perf_counter() - began
        fewer = f" of {rounds} rounds" if rounds < ROUNDS else ""
        note = f" on {len(train):,} samples" if sampled else ""
        found.append(replace(made, name=name + fewer + note, seconds=seconds))
    return tuple(found)


def shrunk(dataset: Dataset, index: Tensor) -> Tensor:
    """Samples as rows of numbers; pictures averaged over squares until there are few enough."""
    record = dataset.record
    if record.input.kind == "table":
        return dataset.inputs[index]
    classes = record.output.size if record.task == "classification" else 1
    side = max(int((WORK / (classes * record.input.channels)) ** 0.5), 4)
    parts = []
    for chosen in torch.split(index, EVALUATION_BATCH):
        pictures = dataset.inputs[chosen].permute(0, 3, 1, 2).float()
        if max(pictures.shape[2:]) > side:
            pictures = torch.nn.functional.adaptive_avg_pool2d(pictures, side)
        parts.append(pictures.flatten(1))
    return torch.cat(parts)


def _models(dataset: Dataset, seed: int, features: int) -> list[tuple[str, Any]]:
    # Imported here: scikit-learn takes a second, and predicting needs none of it.
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.multioutput import MultiOutputRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    record = dataset.record
    classes = record.output.size if record.task == "classification" else 1
    rounds = min(max(ROUNDS * WORK // (features * classes), LEAST_ROUNDS), ROUNDS)
    categorical = [record.input.numbers + i for i, size in enumerate(record.input.cardinalities) if size <= 255]
    if record.task == "classification":
        return [
            ("logistic regression", make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))),
            (
                "HistGradientBoosting",
                HistGradientBoostingClassifier(
                    max_iter=rounds, random_state=seed, categorical_features=categorical or None
                ),
            ),
        ]
    boosting: Any = HistGradientBoostingRegressor(
        max_iter=rounds, random_state=seed, categorical_features=categorical or None
    )
    if record.output.size > 1:
        boosting = MultiOutputRegressor(boosting)
    return [("linear regression", make_pipeline(StandardScaler(), Ridge())), ("HistGradientBoosting", boosting)]


def _scored(model: Any, dataset: Dataset, train: Tensor, *, seconds: float | None) -> tuple[Yardstick, int]:
    """A model's figures, and the rounds of boosting it was given."""
    linear = hasattr(model, "steps")
    record = dataset.record

    def rows(index: Tensor) -> Any:
        flat = shrunk(dataset, index)
        return (_expanded(flat, record.input) if linear else flat).numpy()

    targets = dataset.targets[train]
    if record.task == "regression":
        targets = standardize(targets, record.output)
    with warnings.catch_warnings():
        # Not converged within its iterations is still a yardstick.
        warnings.simplefilter("ignore")
        wanted = targets.numpy() if targets.ndim == 1 or targets.shape[1] > 1 else targets[:, 0].numpy()
        fitted, rounds = _fitted(model, rows(train), wanted, seconds=seconds)
        scores = {}
        for part in ("validation", "test"):
            index = dataset.parts[part]
            if len(index):
                scores[part] = score(_outputs(fitted, rows(index), dataset), dataset.targets[index], record.output)
    judged = scores.get("validation") or scores["test"]
    figures = Yardstick(
        name="",
        metric=judged.metric,
        loss=judged.loss,
        seconds=0.0,
        test=scores["test"].metric if "test" in scores else None,
    )
    return figures, rounds


def _fitted(model: Any, rows: Any, targets: Any, *, seconds: float | None) -> tuple[Any, int]:
    """Fit; boosting goes on in ever longer stretches, and no further than the time allows."""
    given = getattr(model, "estimator", model)
    most = int(getattr(given, "max_iter", ROUNDS))
    if seconds is None or not hasattr(model, "max_iter"):
        return model.fit(rows, targets), most
    began, done = perf_counter(), 0
    model.set_params(warm_start=True)
    while done < most:
        until = min(max(2 * done, LEAST_ROUNDS), most)
        spent = perf_counter() - began
        if done and spent * until / done > seconds:
            break
        model.set_params(max_iter=until).fit(rows, targets)
        done = until
    return model, done


def _outputs(fitted: Any, rows: Any, dataset: Dataset) -> Tensor:
    record = dataset.record
    if record.task == "regression":
        return torch.from_numpy(np.asarray(fitted.predict(rows), dtype=np.float32).reshape(len(rows), -1))
    probabilities = torch.zeros(len(rows), record.output.size)
    probabilities[:, torch.from_numpy(np.asarray(fitted.classes_))] = torch.from_numpy(
        fitted.predict_proba(rows).astype(np.float32)
    )
    return probabilities.clamp(min=1e-7).log()


def _expanded(flat: Tensor, layout: InputLayout) -> Tensor:
    """Rows for a linear model: missing numbers at the mean (0 after scaling), categories one-hot (at most 50 codes)."""
    numbers = flat[:, : layout.numbers] if layout.kind == "table" else flat
    center = torch.nanmean(numbers, dim=0, keepdim=True).nan_to_num()
    parts = [torch.where(numbers.isnan(), center, numbers)]
    for position, size in enumerate(layout.cardinalities):
        codes = flat[:, layout.numbers + position].long().clamp(max=min(size, 50))
        parts.append(torch.nn.functional.one_hot(codes, min(size, 50) + 1).float())
    return torch.cat(parts, dim=1)


def _best_constant(dataset: Dataset) -> Yardstick:
    record = dataset.record
    targets = dataset.targets[dataset.parts["train"]]
    if record.task == "classification":
        shares = torch.bincount(targets, minlength=record.output.size).double() / len(targets)
        constant = shares.clamp(min=1e-7).log().float()
    else:
        constant = torch.zeros(record.output.size)

    def scored(part: str) -> Any:
        index = dataset.parts[part]
        if not len(index):
            return None
        return score(constant.expand(len(index), -1), dataset.targets[index], record.output)

    test = scored("test")
    judged = scored("validation") or test
    return Yardstick(
        name="best constant",
        metric=judged.metric,
        loss=judged.loss,
        seconds=0.0,
        test=test.metric if test else None,
    )
