"""Runs that look like real ones: digits with two rounds, a regression, one that goes on, one that means harm."""

import dataclasses
import math
import random
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

from trainwell.core.records.curve import Curve
from trainwell.core.records.data import ColumnRecord, DataRecord, LeftOut
from trainwell.core.records.evidence import (
    Choice,
    Evidence,
    Grid,
    GridPoint,
    InitialLoss,
    Invariance,
    Invariances,
    LayerStatistic,
    LearningCurves,
    Look,
    LrSweep,
    Next,
    SmallSample,
    Yardstick,
)
from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.hyperparameters import (
    Architecture,
    Augmentation,
    Hyperparameters,
    Initialization,
    Optimization,
    Regularization,
)
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.core.records.outcome import CalibrationBin, ClassFigures, Mistake, Outcome
from trainwell.core.records.run import Budget, Decision, Result, RunRecord, Settings, StepLine, TestLine
from trainwell.core.records.trial import Metrics, Score, TrialRecord, TrialSpec

VERSIONS = {"matplotlib": "3.11.2", "python": "3.11.2", "torch": "2.13.0", "trainwell": "0.1.0"}
HARDWARE = "AMD EPYC, 2 cores, 8 GB"
NAN = math.nan
INF = math.inf


def curve(
    name: str, count: int, start: float, end: float, *, noise: float = 0.0, seed: int = 0, **labels: str
) -> Curve:
    draw = random.Random(seed)
    x = tuple(float(step) for step in range(count))
    y = tuple(end + (start - end) * math.exp(-4 * step / count) + noise * draw.gauss(0, 1) for step in range(count))
    return Curve(name=name, x=x, y=y, **labels)


def point(lr: float = 3e-3, weight_decay: float = 1e-3, name: str = "convnet") -> Hyperparameters:
    return Hyperparameters(
        architecture=Architecture(name=name, width=32, depth=3),
        initialization=Initialization(scheme="kaiming"),
        regularization=Regularization(weight_decay=weight_decay, dropout=0.1, label_smoothing=0.1),
        augmentation=Augmentation(translate=1, views=4),
        optimization=Optimization(lr=lr, averaging=0.2),
    )


def trial(
    number: int, stage: str, error: float, *, lr: float = 3e-3, state: str = "completed", in_round: int = 1
) -> TrialRecord:
    spec = TrialSpec(
        number=number,
        data="runs/digits/data",
        fingerprint="ab" * 16,
        hyperparameters=point(lr),
        total_steps=600,
        decay_from=300,
        seed=number,
        threads=2,
    )
    lines = tuple(
        Metrics(
            step=25 * (line + 1),
            epoch=2.5 * (line + 1),
            lr=lr * min(1.0, (24 - line) / 12),
            train_loss=2.3 * math.exp(-line / 4) + 0.55,
            train=Score(loss=2.3 * math.exp(-line / 3) + 0.02, metric=1 - 0.9 * math.exp(-line / 3))
            if line % 2
            else None,
            validation=Score(loss=2.3 * math.exp(-line / 3) + 0.06, metric=1 - error - 0.85 * math.exp(-line / 3))
            if line % 2
            else None,
            seconds=0.4,
        )
        for line in range(24)
    )
    return TrialRecord(spec=spec, stage=stage, round=in_round, state=state, metrics=lines, value=error)  # type: ignore[arg-type]


def yardsticks(task: str, *, tested: bool) -> tuple[Yardstick, ...]:
    if task == "classification":
        figures = (
            ("best constant", 0.102, 2.302, 0.101),
            ("logistic regression", 0.957, 0.142, 0.951),
            ("HistGradientBoosting", 0.968, 0.118, 0.964),
        )
    else:
        figures = (
            ("best constant", -0.01, 1.01, -0.02),
            ("linear regression", 0.48, 0.52, 0.45),
            ("HistGradientBoosting", 0.43, 0.57, 0.46),
        )
    return tuple(
        Yardstick(name=name, metric=metric, loss=loss, seconds=0.3 * row, test=test if tested else None)
        for row, (name, metric, loss, test) in enumerate(figures)
    )


def layers() -> tuple[LayerStatistic, ...]:
    names = (
        "stem.convolution",
        "stage1.block1.convolution1",
        "stage1.block1.convolution2",
        "stage2.block1.convolution1",
        "stage2.block1.convolution2",
        "head",
    )
    return tuple(
        LayerStatistic(
            name=name,
            kind="Linear" if name == "head" else "Conv2d",
            activation="" if name == "head" else "relu",
            mean=0.02 * row,
            std=1.0 - 0.08 * row,
            dead=0.01 * row if name != "head" else 0.0,
            saturated=0.0,
            gradient_std=2e-3 * 1.3**row,
        )
        for row, name in enumerate(names)
    )


def sweep() -> LrSweep:
    rates = tuple(1e-6 * 10 ** (7 * step / 120) for step in range(120))
    draw = random.Random(1)
    smooth = tuple(2.3 - 1.7 / (1 + math.exp(-2.5 * (math.log10(rate) + 3.2))) + (40 * rate) ** 3 for rate in rates)
    measured = tuple(value * (1 + 0.04 * draw.gauss(0, 1)) for value in smooth)
    return LrSweep(
        curve=Curve(name="loss", x=rates, y=measured[:-6] + (NAN, INF) * 3, x_label="learning rate"),
        smoothed=Curve(name="smoothed", x=rates, y=smooth, x_label="learning rate"),
        lr=3e-3,
        interval=(1.2e-4, 1.1e-2),
        usable=True,
        confirmations=tuple(
            curve(f"{rate:g}", 100, 2.3, end, noise=0.03, seed=row)
            for row, (rate, end) in enumerate(((1e-3, 0.7), (3e-3, 0.35), (1e-2, 0.5)))
        ),
    )


def coarse_grid() -> Grid:
    draw = random.Random(2)
    points = tuple(
        GridPoint(
            trial=4 * row + column,
            coordinates={"optimization.lr": lr, "regularization.weight_decay": decay},
            value=INF if lr > 2e-2 and row else 0.03 + 0.05 * abs(math.log10(lr / 3e-3)) + 0.01 * draw.random(),
            loss=0.3,
            steps=60,
            state="diverged" if lr > 2e-2 and row else ("stopped" if column in (0,) else "completed"),
        )
        for row, decay in enumerate((0.0, 1e-4, 1e-3, 1e-2))
        for column, lr in enumerate((3e-4, 1e-3, 3e-3, 3e-2))
    )
    best = min(points, key=lambda one: one.value)
    return Grid(axes=("optimization.lr", "regularization.weight_decay"), points=points, best=best.trial, noise=NAN)


def refined_grid(visit_number: int) -> Grid:
    draw = random.Random(visit_number)
    activations = ("relu", "leaky_relu", "gelu")
    points = tuple(
        GridPoint(
            trial=16 * visit_number + row,
            coordinates={
                "optimization.lr": 3e-3 * 2 ** draw.uniform(-1, 1),
                "regularization.weight_decay": 1e-3 * 4 ** draw.uniform(-1, 1),
                "regularization.dropout": draw.choice((0.0, 0.1, 0.2)),
            },
            labels={"activation": activations[row % 3]},
            value=0.012 + 0.03 * draw.random() ** 2,
            loss=0.08,
            steps=300,
            state="stopped" if row % 4 == 3 else "completed",
        )
        for row in range(12)
    )
    best = min((one for one in points if one.state == "completed"), key=lambda one: one.value)
    return Grid(
        axes=("optimization.lr", "regularization.weight_decay", "regularization.dropout", "activation"),
        points=points,
        best=best.trial,
        at_edge=("optimization.lr",) if visit_number == 1 else (),
        noise=0.0021,
        importances={
            "optimization.lr": 0.55,
            "regularization.weight_decay": 0.12,
            "regularization.dropout": 0.2,
            "activation": 0.13,
        },
    )


def learning_curves(trial_number: int) -> LearningCurves:
    epochs = tuple(float(epoch) for epoch in range(1, 21))
    label = {"x_label": "epoch"}
    return LearningCurves(
        trial=trial_number,
        shape="overfitting from epoch 7: validation loss rises while training loss falls",
        train_loss=Curve(name="training loss", x=epochs, y=tuple(2.0 * math.exp(-e / 3) for e in epochs), **label),
        validation_loss=Curve(
            name="validation loss",
            x=epochs,
            y=tuple(2.0 * math.exp(-e / 3) + 0.06 + 0.004 * max(0, e - 7) for e in epochs),
            **label,
        ),
        train_metric=Curve(
            name="training accuracy",
            x=epochs,
            y=tuple(1 - 0.6 * math.exp(-e / 3) for e in epochs),
            y_label="accuracy",
            **label,
        ),
        validation_metric=Curve(
            name="validation accuracy",
            x=epochs,
            y=tuple(0.982 - 0.6 * math.exp(-e / 3) for e in epochs),
            y_label="accuracy",
            **label,
        ),
        lr=Curve(
            name="learning rate",
            x=epochs,
            y=tuple(3e-3 * min(1, (21 - e) / 10) for e in epochs),
            y_label="learning rate",
            **label,
        ),
    )


def dead_relu() -> Finding:
    return Finding(
        code="ACT002",
        name="dead-relu",
        severity="warning",
        message="12% of the units of stage2.block1.convolution1 are 0 for every sample.",
        evidence={"dead_share": 0.12, "expected": 0.01},
        cause="The bias of the layer begins at -2, so that its inputs are negative.",
        remedies=(
            Remedy(text="Begin the bias at zero.", change={"initialization.scheme": "kaiming"}, proven=True),
            Remedy(text="Use Leaky ReLU, which does not die."),
        ),
        where=Where(layer="stage2.block1.convolution1"),
    )


def invariances() -> Invariances:
    return Invariances(
        found=(
            Invariance(
                name="shift by 1 pixel",
                statement="a digit a pixel to the side is the same digit",
                admitted=True,
                metric_without=0.975,
                metric_with=0.983,
                why="A training with it was 0.8 points better.",
            ),
            Invariance(
                name="horizontal flip",
                statement="a picture and its mirror image show the same thing",
                admitted=False,
                metric_without=0.975,
                metric_with=0.61,
                why="On mirrored pictures the network falls to 61%: mirrored digits are other signs.",
            ),
        )
    )


def visit(
    step: int,
    name: str,
    verdict: str,
    *detail: object,
    number: int = 1,
    passed: bool = True,
    findings: tuple[Finding, ...] = (),
) -> Evidence:
    return Evidence(
        step=step,
        name=name,
        visit=number,
        passed=passed,
        verdict=verdict,
        seconds=1.7 * (step + 1),
        numbers={"error": 0.0181, "steps": 300.0},
        detail=detail,  # type: ignore[arg-type]
        findings=findings,
    )


def round_of_grids(number: int, *, go_on: bool) -> list[Evidence]:
    chosen = (
        Choice(
            path="regularization.dropout",
            value="0.2",
            why="Validation loss rises from epoch 7 while training loss falls: overfitting.",
        ),
        Choice(path="augmentation.translate", value="1", why="A shift by one pixel was admitted as an invariance."),
    )
    return [
        visit(
            5,
            "refined-grid",
            f"The best of 12 points has an error of 1.{9 - number}%; the next is within the noise.",
            refined_grid(number),
            number=number,
        ),
        visit(
            6,
            "learning-curves",
            "Training loss falls to 0.003 while validation loss rises from epoch 7 on: the network overfits.",
            learning_curves(16 * number + 3),
            *([invariances()] if number == 1 else []),
            number=number,
            findings=(
                Finding(
                    code="REG001",
                    name="overfitting",
                    severity="warning",
                    message="Training accuracy is 1.8 points above validation accuracy (1.1 to 2.6).",
                ),
            ),
        ),
        visit(
            7,
            "next",
            "Another round with dropout." if go_on else "The last round brought less than the noise: the search ends.",
            Next(go_on=go_on, choices=chosen if go_on else (), spent_fraction=0.4 * number),
            number=number,
        ),
    ]


def classification_evidence(montage: str = "montage.png", *, tested: bool = True) -> tuple[Evidence, ...]:
    return (
        visit(
            0,
            "look",
            "1,797 pictures of 10 classes, evenly spread; gradient boosting reaches 96.8% on validation.",
            Look(yardsticks=yardsticks("classification", tested=tested), montage=montage),
        ),
        visit(
            1,
            "initial-loss",
            "The untouched network's loss is 2.318, as expected of one that knows nothing of 10 classes (2.303).",
            InitialLoss(measured=2.318, zero_output=2.3026, best_constant=2.3021, logit_std=0.17, layers=layers()),
            findings=(dead_relu(),),
        ),
        visit(
            2,
            "overfit-small-sample",
            "640 samples are learnt by heart in 120 steps: 100% training accuracy.",
            SmallSample(
                samples=640,
                lr=3e-3,
                loss=curve("loss", 120, 2.3, 0.002),
                metric=curve("accuracy", 120, 0.1, 1.0, y_label="accuracy"),
                attempts=(curve("1e-4", 120, 2.3, 1.4),),
            ),
        ),
        visit(
            3, "find-lr", "The loss falls between 1.2e-4 and 1.1e-2; 3e-3 was the best of three short runs.", sweep()
        ),
        visit(
            4, "coarse-grid", "16 points: the best has an error of 3.2% at 3e-3, well inside the grid.", coarse_grid()
        ),
        *round_of_grids(1, go_on=True),
        *round_of_grids(2, go_on=False),
    )


def settings(budget: Budget) -> Settings:
    return Settings(
        data="digits",
        target=(),
        budget=budget,
        seed=0,
        model="auto",
        device="cpu",
        threads=2,
        precision="float32",
        hardware=HARDWARE,
        versions=VERSIONS,
        started="2026-11-24T17:00:00Z",
    )


def digits_data() -> DataRecord:
    counts = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    return DataRecord(
        source="digits",
        fingerprint="5d" * 16,
        task="classification",
        input=InputLayout(kind="image", height=8, width=8, channels=1),
        output=OutputLayout(task="classification", size=10, names=tuple("0123456789")),
        samples=1797,
        sizes={"train": 1077, "validation": 360, "test": 360},
        class_counts={
            "train": tuple(count - 72 for count in counts),
            "validation": (36,) * 10,
            "test": (36,) * 10,
        },
        left_out=(LeftOut(name="3/broken.png", why="The picture ends too early."),),
        left_out_count=1,
        duplicates=2,
        warnings=("One of 1,798 files could not be read and was left out.",),
    )


def classification_outcome(
    pictures: tuple[str, ...] = ("mistakes/0.png", "mistakes/1.png", "mistakes/2.png"),
) -> Outcome:
    wrong = {(8, 1): 2, (9, 3): 1, (3, 9): 1, (5, 9): 1}
    confusion = tuple(
        tuple(
            36 - sum(n for (i, _), n in wrong.items() if i == row) if row == column else wrong.get((row, column), 0)
            for column in range(10)
        )
        for row in range(10)
    )
    classes = tuple(
        ClassFigures(
            name=str(row),
            samples=36,
            precision=confusion[row][row] / max(1, sum(line[row] for line in confusion)),
            recall=confusion[row][row] / 36,
            recall_interval=(max(0.0, confusion[row][row] / 36 - 0.09), min(1.0, confusion[row][row] / 36 + 0.02)),
        )
        for row in range(10)
    )
    mistakes = tuple(
        Mistake(
            sample=100 + row,
            source=f"digits[{100 + row}]",
            truth=truth,
            predicted=predicted,
            probability=0.97 - 0.08 * row,
            picture=name,
        )
        for row, ((truth, predicted), name) in enumerate(zip((("8", "1"), ("9", "3"), ("5", "9")), pictures))
    )
    return Outcome(
        metric="accuracy",
        value=355 / 360,
        interval=(0.9679, 0.9941),
        n=360,
        loss=0.061,
        confusion=confusion,
        classes=classes,
        mistakes=mistakes,
        calibration_error=0.013,
        temperature=0.48,
        calibration=(
            CalibrationBin(confidence=0.44, right=0.5, count=4, interval=(0.15, 0.85)),
            CalibrationBin(confidence=0.71, right=0.75, count=8, interval=(0.41, 0.93)),
            CalibrationBin(confidence=0.91, right=0.95, count=20, interval=(0.76, 0.99)),
            CalibrationBin(confidence=0.997, right=328 / 328, count=328, interval=(0.988, 1.0)),
        ),
    )


def finish(run: RunRecord, headline: str, *, learnable: bool = True) -> RunRecord:
    outcome = run.outcome
    assert outcome is not None
    result = Result(
        run=run.name,
        task=run.data.task,
        headline=headline,
        learnable=learnable,
        classes=run.data.output.names if run.data.task == "classification" else (),
        test=TestLine(metric=outcome.metric, value=outcome.value, interval=outcome.interval, n=outcome.n),
        yardsticks=yardsticks(run.data.task, tested=True),
        seconds=64.2,
        seed=0,
        steps=tuple(
            StepLine(step=one.step, passed=one.passed, verdict=one.verdict, seconds=one.seconds) for one in run.evidence
        ),
        findings=tuple(one for visited in run.evidence for one in visited.findings),
        best=point(),
        trials=len(run.trials),
        versions=VERSIONS,
        hardware=HARDWARE,
    )
    return dataclasses.replace(run, result=result)


def decisions() -> tuple[Decision, ...]:
    return (
        Decision(
            number=1,
            name="precision",
            text="Train in float32.",
            why="bfloat16 was 0.7 times as fast on this processor.",
        ),
        Decision(
            number=2,
            name="learning-rate",
            text="Search around 3e-3.",
            why="It had the lowest loss of three short runs.",
        ),
        Decision(
            number=3,
            name="promotion",
            text="Trials 2, 6, 10 and 14 go on.",
            why="They have the lowest validation error after 60 steps.",
        ),
        Decision(
            number=4,
            name="next",
            text="Dropout 0.2 and shifts of one pixel.",
            why="Validation loss rises from epoch 7 while training loss falls.",
        ),
    )


def paint(folder: Path) -> None:
    """The PNGs of a run on digits."""
    images = load_digits().images
    look = folder / "evidence" / "00-look"
    mistakes = folder / "evidence" / "08-test" / "mistakes"
    look.mkdir(parents=True)
    mistakes.mkdir(parents=True)
    montage = Image.new("L", (10 * 36, 6 * 36), 128)
    for place in range(60):
        tile = Image.fromarray((images[place] * 15.9).astype("uint8")).resize((34, 34), Image.Resampling.NEAREST)
        montage.paste(tile, (36 * (place % 10) + 1, 36 * (place // 10) + 1))
    montage.save(look / "montage.png")
    for place in range(3):
        Image.fromarray((images[100 + place] * 15.9).astype("uint8")).save(mistakes / f"{place}.png")


def classification(folder: Path) -> RunRecord:
    """Digits: two rounds, finished."""
    paint(folder)
    trials = tuple(trial(number, "coarse" if number < 16 else "refined", 0.02 + 0.001 * number) for number in range(30))
    run = RunRecord(
        name="digits",
        folder=str(folder),
        settings=settings(Budget(seconds=60.0)),
        data=digits_data(),
        evidence=classification_evidence(),
        trials=(*trials, trial(30, "final", 0.014, in_round=2)),
        decisions=decisions(),
        outcome=classification_outcome(),
        final=30,
    )
    return finish(run, "98.6% of 360 test pictures are recognized, 2.2 points more than gradient boosting (96.4%).")


def unfinished(folder: Path) -> RunRecord:
    """The same, interrupted in step 4."""
    return RunRecord(
        name="digits-2",
        folder=str(folder),
        settings=settings(Budget(steps=20_000)),
        data=digits_data(),
        evidence=classification_evidence(tested=False)[:4],
        trials=(trial(0, "coarse", 0.04),),
        decisions=decisions()[:2],
    )


def regression(folder: Path) -> RunRecord:
    """A table with one target."""
    columns = (
        ColumnRecord(name="age", kind="number", missing=0, distinct=58),
        ColumnRecord(name="bmi", kind="number", missing=12, distinct=163),
        ColumnRecord(
            name="patient", kind="left out", missing=0, distinct=442, why="Every value is another: an identifier."
        ),
    )
    data = DataRecord(
        source="diabetes.csv",
        fingerprint="77" * 16,
        task="regression",
        input=InputLayout(kind="table", numbers=2),
        output=OutputLayout(task="regression", size=1, names=("progression",), means=(152.1,), stds=(77.0,)),
        samples=442,
        sizes={"train": 264, "validation": 89, "test": 89},
        columns=columns,
    )
    draw = random.Random(4)
    truth = tuple(draw.uniform(30, 320) for _ in range(89))
    predicted = tuple(152 + 0.5 * (value - 152) + draw.gauss(0, 35) for value in truth)
    label = {"x_label": "epoch"}
    epochs = tuple(float(epoch) for epoch in range(1, 31))
    curves = LearningCurves(
        trial=5,
        shape="converged: both losses are flat from epoch 12 on",
        train_loss=Curve(
            name="training loss", x=epochs, y=tuple(0.45 + 0.6 * math.exp(-e / 4) for e in epochs), **label
        ),
        validation_loss=Curve(
            name="validation loss", x=epochs, y=tuple(0.53 + 0.5 * math.exp(-e / 4) for e in epochs), **label
        ),
        train_metric=Curve(
            name="training R²", x=epochs, y=tuple(0.55 - 0.6 * math.exp(-e / 4) for e in epochs), **label
        ),
        validation_metric=Curve(
            name="validation R²", x=epochs, y=tuple(0.47 - 0.5 * math.exp(-e / 4) for e in epochs), **label
        ),
        lr=Curve(name="learning rate", x=epochs, y=tuple(1e-3 for _ in epochs), **label),
    )
    one_axis = Grid(
        axes=("optimization.lr",),
        points=tuple(
            GridPoint(
                trial=row,
                coordinates={"optimization.lr": lr},
                value=0.53 + 0.1 * abs(row - 2),
                loss=0.5,
                steps=80,
                state="completed",
            )
            for row, lr in enumerate((1e-4, 3e-4, 1e-3, 3e-3, 1e-2))
        ),
        best=2,
        noise=0.008,
    )
    evidence = (
        visit(
            0,
            "look",
            "442 rows; linear regression explains 48% of the variance.",
            Look(yardsticks=yardsticks("regression", tested=True)),
        ),
        visit(
            1,
            "initial-loss",
            "The untouched network's loss is 1.04, as expected (1.0).",
            InitialLoss(
                measured=1.04, zero_output=1.0, best_constant=0.99, logit_std=0.2, layers=layers()[:1] + layers()[-1:]
            ),
        ),
        visit(
            2,
            "overfit-small-sample",
            "320 rows are learnt by heart: R² 0.99.",
            SmallSample(samples=320, lr=1e-3, loss=curve("loss", 200, 1.0, 0.01), metric=curve("R²", 200, 0.0, 0.99)),
        ),
        visit(3, "find-lr", "The loss falls between 1.2e-4 and 1.1e-2.", sweep()),
        visit(4, "coarse-grid", "5 rates: 1e-3 is the best.", one_axis),
        visit(6, "learning-curves", "Both losses are flat from epoch 12 on.", curves),
        visit(
            7, "next", "Nothing improves any more: the search ends.", Next(go_on=False, choices=(), spent_fraction=0.8)
        ),
    )
    outcome = Outcome(
        metric="r2",
        value=0.447,
        interval=(0.29, 0.57),
        n=89,
        loss=0.55,
        truth=truth,
        predicted=predicted,
        rmse=(56.3,),
        mistakes=(Mistake(sample=3, source="row 4", truth="310", predicted="152", probability=NAN),),
    )
    run = RunRecord(
        name="diabetes",
        folder=str(folder),
        settings=settings(Budget(seconds=120.0)),
        data=data,
        evidence=evidence,
        trials=tuple(trial(number, "coarse", 0.5) for number in range(6)),
        decisions=decisions()[:2],
        outcome=outcome,
        final=2,
    )
    return finish(
        run, "Gradient boosting is ahead: it explains 46% of the variance of 89 test rows, this network 44.7%."
    )


HOSTILE_NAMES = (
    "<script>document.title='owned'</script>",
    "$x^2$ $\\frac{1}{0}$ $broken",
    "]]></style></svg><img src=x onerror=\"document.title='owned'\">",
    "\U0001f600\U0001f1e9\U0001f1ea 猫 🐈‍⬛ मनुष्य",
    "n" * 300,
    "</title><!-- --> ' onmouseover='document.title=1",
    "a\x00b\x1b[31mc\u202egnp.exe\ud800\ufffe",
    ' id="x" url(#x) style="fill:#010101" #010101 &amp; &lt;',
)


def hostile(folder: Path) -> RunRecord:
    """A finished run whose every text means harm and whose every number is NaN, Inf or absurd."""
    names = HOSTILE_NAMES
    evil = names[0] + names[2]
    base = classification(folder)
    bad = (NAN, INF, -INF, 1e300, -1e300, 0.0, 1e-320, 5.0)
    broken = Curve(name=evil, x=tuple(float(step) for step in range(8)), y=bad, x_label=evil, y_label=evil)
    nothing = Curve(name=evil, x=(), y=())
    all_nan = Curve(name=evil, x=(0.0, 1.0), y=(NAN, NAN))
    finding = Finding(
        code="ACT002",
        name=evil,
        severity="error",
        message=evil,
        evidence={evil: INF},
        cause=evil,
        remedies=(Remedy(text=evil, proven=True),),
        where=Where(layer=evil, file=evil, line=3),
    )
    broken_layers = tuple(
        LayerStatistic(
            name=name, kind=evil, activation=evil, mean=NAN, std=value, dead=NAN, saturated=INF, gradient_std=NAN
        )
        for name, value in zip(names, bad)
    )
    grid_points = tuple(
        GridPoint(
            trial=row,
            coordinates={evil: value, "optimization.lr": -value},
            labels={"activation": names[row]},
            value=value,
            loss=NAN,
            steps=0,
            state="diverged",
        )
        for row, value in enumerate(bad)
    )
    details = (
        Look(
            yardsticks=(
                Yardstick(name=evil, metric=NAN, loss=INF, seconds=NAN, test=-INF),
                Yardstick(name=evil, metric=-1e9, loss=1.0, seconds=1.0, test=NAN),
            ),
            montage="../../etc/passwd",
        ),
        InitialLoss(measured=NAN, zero_output=INF, best_constant=1e300, logit_std=NAN, layers=broken_layers),
        InitialLoss(measured=INF, zero_output=2.3, best_constant=2.2, logit_std=NAN, layers=()),
        SmallSample(samples=1, lr=INF, loss=broken, metric=all_nan, attempts=(nothing, broken)),
        LrSweep(
            curve=broken,
            smoothed=all_nan,
            lr=NAN,
            interval=(NAN, INF),
            usable=True,
            confirmations=(broken, nothing, all_nan),
        ),
        LrSweep(curve=nothing, smoothed=nothing, lr=1e-3, interval=(0.0, 1.0), usable=False, confirmations=(all_nan,)),
        Grid(
            axes=(evil, "optimization.lr", "activation"),
            points=grid_points,
            best=99,
            at_edge=(evil,),
            noise=INF,
            importances={evil: NAN},
        ),
        Grid(axes=(), points=(), best=0, noise=NAN),
        LearningCurves(
            trial=1,
            shape=evil,
            train_loss=broken,
            validation_loss=all_nan,
            train_metric=nothing,
            validation_metric=broken,
            lr=nothing,
        ),
        Next(go_on=True, choices=(Choice(path=evil, value=evil, why=evil),), spent_fraction=NAN),
        Invariances(
            found=(Invariance(name=evil, statement=evil, admitted=True, metric_without=NAN, metric_with=INF, why=evil),)
        ),
        Invariances(found=()),
    )
    evidence = tuple(
        Evidence(
            step=step,
            name=evil,
            visit=1,
            passed=False,
            verdict=evil,
            seconds=NAN,
            numbers={evil: value},
            detail=details if not step else (),
            findings=(finding,),
        )
        for step, value in enumerate(bad)
    )
    outcome = Outcome(
        metric="accuracy",
        value=NAN,
        interval=(NAN, INF),
        n=0,
        loss=NAN,
        confusion=tuple(tuple(row * column for column in range(8)) for row in range(8)),
        classes=tuple(
            ClassFigures(name=name, samples=0, precision=NAN, recall=NAN if row else 0.5, recall_interval=(NAN, INF))
            for row, name in enumerate(names)
        ),
        mistakes=tuple(
            Mistake(
                sample=0,
                source=name,
                truth=name,
                predicted=evil,
                probability=NAN,
                picture="../montage.png" if row else "mistakes/0.png",
            )
            for row, name in enumerate(names)
        ),
        calibration_error=INF,
        temperature=NAN,
        calibration=(
            CalibrationBin(confidence=NAN, right=INF, count=0, interval=(NAN, INF)),
            CalibrationBin(confidence=1e300, right=-1.0, count=10**12, interval=(-INF, 1e300)),
            CalibrationBin(confidence=0.5, right=0.5, count=1, interval=(NAN, NAN)),
        ),
    )
    data = dataclasses.replace(
        base.data,
        source=evil,
        fingerprint=evil,
        output=OutputLayout(task="classification", size=8, names=names),
        class_counts={evil: tuple(range(8))},
        sizes={evil: 3},
        columns=(ColumnRecord(name=evil, kind="left out", missing=1, distinct=1, why=evil),),
        left_out=(LeftOut(name=evil, why=evil),),
        warnings=names,
    )
    asked = dataclasses.replace(
        base.settings,
        data=evil,
        target=(evil,),
        model=evil,
        device=evil,
        hardware=evil,
        versions={evil: evil},
        started=evil,
    )
    run = dataclasses.replace(
        base,
        name=names[2],
        settings=asked,
        data=data,
        evidence=evidence,
        decisions=(Decision(number=1, name=evil, text=evil, why=evil),),
        outcome=outcome,
    )
    return finish(run, evil, learnable=False)


def many_classes(folder: Path, count: int = 120) -> RunRecord:
    """As many classes as a flower book."""
    base = classification(folder)
    draw = random.Random(5)
    names = tuple(f"species number {row}" for row in range(count))
    confusion = tuple(
        tuple(8 + row % 3 if row == column else int(draw.random() < 0.01) for column in range(count))
        for row in range(count)
    )
    classes = tuple(
        ClassFigures(
            name=name,
            samples=sum(confusion[row]),
            precision=0.9,
            recall=confusion[row][row] / sum(confusion[row]),
            recall_interval=(0.6, 1.0),
        )
        for row, name in enumerate(names)
    )
    data = dataclasses.replace(
        base.data,
        output=OutputLayout(task="classification", size=count, names=names),
        class_counts={"train": tuple(range(3, count + 3))},
    )
    assert base.outcome is not None
    return dataclasses.replace(
        base, data=data, outcome=dataclasses.replace(base.outcome, confusion=confusion, classes=classes)
    )
