"""Step 0: look at the data."""

from dataclasses import replace

from trainwell.core.files import write_atomically, writing
from trainwell.core.records.evidence import Evidence, Look, Yardstick
from trainwell.recipe.context import NAMES, Context, serious
from trainwell.recipe.montage import montage_png
from trainwell.recipe.wording import counted, percent
from trainwell.recipe.yardsticks import measure_yardsticks


def look(context: Context) -> Evidence:
    """Read, count, look, and measure what simple models reach."""

    context.yardsticks = context.study.once(
        "yardsticks",
        tuple[Yardstick, ...],
        lambda: measure_yardsticks(
            context.dataset,
            seed=context.settings.seed,
            budget_seconds=context.clock.total if context.clock.reads_time else None,
        ),
    )

    def compute(visit: int) -> Evidence:
        dataset = context.dataset
        record = dataset.record
        montage = ""
        if record.input.kind == "image":
            montage = "montage.png"
            folder = context.folder.step(0, NAMES[0])
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            write_atomically(folder / montage, montage_png(dataset, seed=context.settings.seed))
        # What they reach on the test part is kept in the store, out of sight until the test part is touched.
        yardsticks = tuple(replace(each, test=None) for each in context.yardsticks)
        detail = Look(yardsticks=yardsticks, montage=montage)
        findings = context.find(data=record, look=detail)
        best = max(yardsticks, key=lambda each: each.metric)
        what = "pictures" if record.input.kind == "image" else "rows"
        reached = percent(best.metric) if record.task == "classification" else f"R² {best.metric:.3f}"
        left_out = f" {counted(record.left_out_count, what[:-1])} could not be used." if record.left_out_count else ""
        kinds = (
            f" of {counted(record.output.size, 'class', 'classes')}"
            if record.task == "classification"
            else f" with {counted(record.output.size, 'target')}"
        )
        return Evidence(
            step=0,
            name=NAMES[0],
            visit=visit,
            passed=not serious(findings),
            verdict=f"{record.samples:,} {what}{kinds}; on validation {best.name} reaches {reached}.{left_out}",
            seconds=0.0,
            numbers={"samples": record.samples, **{f"{each.name}": each.metric for each in yardsticks}},
            detail=(detail,),
            findings=findings,
        )

    return context.leave(0, compute)
