"""What is known of the data."""

from dataclasses import field
from typing import Literal

from trainwell.core.records.layout import InputLayout, OutputLayout, Task
from trainwell.core.records.record import record


@record
class ColumnRecord:
    """One column of a table.

    Attributes:
        name: its header.
        kind: number, category (booleans too), date (becomes numbers), or left out (identifier, constant, empty).
        missing: values that are missing, in [0, rows].
        distinct: distinct values.
        why: one sentence where it was left out or changed, else empty.
    """

    name: str
    kind: Literal["number", "category", "date", "left out"]
    missing: int
    distinct: int
    why: str = ""


@record
class LeftOut:
    """One file or row that could not be used, and why."""

    name: str
    why: str


@record
class DataRecord:
    """The data as it was read: `data.json` of a run.

    Attributes:
        source: what the user named.
        fingerprint: BLAKE2b of everything that training reads.
        task: classification or regression.
        input: the network's input.
        output: the network's output.
        samples: usable samples.
        sizes: samples in train, validation and test.
        class_counts: part -> samples of each class, in the order of `output.names` (empty for regression).
        columns: of a table.
        left_out: what could not be used (at most 1,000 named; `left_out_count` counts all).
        left_out_count: how many.
        duplicates: samples that repeat another one (kept on one side of the split).
        warnings: sentences for the report.
    """

    source: str
    fingerprint: str
    task: Task
    input: InputLayout
    output: OutputLayout
    samples: int
    sizes: dict[str, int]
    class_counts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    columns: tuple[ColumnRecord, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    left_out_count: int = 0
    duplicates: int = 0
    warnings: tuple[str, ...] = ()
