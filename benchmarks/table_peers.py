"""One peer on one split: `python table_peers.py NAME REPEAT PEER` prints its metric and seconds as JSON.

Runs in an environment of its own (requirements.txt beside this file).
"""

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
import tables


def prepared(frame: Any, test: Any, *, one_hot: bool) -> tuple[Any, Any]:
    """Impute, scale, one-hot, as scikit-learn's users do; trees take codes and gaps as they are."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    columns = [column for column in frame.columns if column != tables.TARGET]
    numbers = [column for column in columns if frame[column].dtype.kind in "fiu"]
    categories = [column for column in columns if column not in numbers]
    if one_hot:
        made = make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
        )
    else:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        made = make_column_transformer(("passthrough", numbers), (codes, categories))
    return made.fit_transform(frame[columns]), made.transform(test[columns])


def peer(name: str, label: str, frame: Any, test: Any) -> Any:
    """Predictions for the test part."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    regression = tables.TASKS[name] == "regression"
    target = frame[tables.TARGET]
    if label == "RealMLP-TD":
        import torch

        # torchvision's wheel expects these two of a torch that was built with it.
        declared = torch.library.Library("torchvision", "DEF")
        declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

        columns = [column for column in frame.columns if column != tables.TARGET]
        for column in columns:
            if frame[column].dtype.kind in "fiu":
                # It takes no gaps: the mean of what is known, and a column that says where one was.
                gaps, mean = frame[column].isna(), frame[column].mean()
                if gaps.any():
                    for part in (frame, test):
                        part[f"{column} missing"] = part[column].isna().astype(float)
                for part in (frame, test):
                    part[column] = part[column].fillna(mean)
            else:
                for part in (frame, test):
                    part[column] = part[column].fillna("missing").astype("category")
        columns = [column for column in frame.columns if column != tables.TARGET]
        kind = RealMLP_TD_Regressor if regression else RealMLP_TD_Classifier
        model = kind(random_state=0, device="cpu", n_threads=1, verbosity=0)
        model.fit(frame[columns], target.to_numpy())
        return model.predict(test[columns])
    scaled = label == "MLP"
    train, held = prepared(frame, test, one_hot=scaled)
    if scaled:
        # Its default of 200 iterations does not converge, and it wants targets of unit scale.
        model = MLPClassifier(random_state=0, max_iter=1000)
        if regression:
            model = TransformedTargetRegressor(
                MLPRegressor(random_state=0, max_iter=1000), transformer=StandardScaler()
            )
    else:
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        model = kind(random_state=0)
    return model.fit(train, target.to_numpy()).predict(held)


def main() -> None:
    warnings.simplefilter("ignore")
    name, repeat, label = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    frame, test = tables.split(tables.load(name), name, repeat)
    frame, test = frame.copy(), test.copy()
    began = time.perf_counter()
    predicted = peer(name, label, frame, test)
    seconds = time.perf_counter() - began
    print(json.dumps({"metric": tables.metric(name, test[tables.TARGET], np.ravel(predicted)), "seconds": seconds}))


if __name__ == "__main__":
    main()
