"""Small real data sets that scikit-learn carries: they need no download."""

from typing import Any

import numpy as np
import polars as pl
import sklearn.datasets

from trainwell.data.fingerprint import digest_of_array, digest_of_text
from trainwell.data.raw import UNDECIDED, Located, Pixels, Raw


def locate(name: str) -> Located:
    """A built-in data set by its name.

    Args:
        name: a key of BUILTIN.
    Example:
        >>> len(locate("iris").read().names)
        150
    """
    bunch = BUILTIN[name]()
    values = np.asarray(bunch.data)
    labels = np.asarray(bunch.target)

    def read() -> Raw:
        rows = len(labels)
        classes = None if name == "diabetes" else [str(item) for item in bunch.target_names]
        target = pl.Series("target", labels if classes is None else [classes[int(label)] for label in labels])
        inputs: pl.DataFrame | Pixels
        if name == "digits":
            pictures = np.asarray(bunch.images)[..., None]
            inputs = Pixels(blocks=lambda: [pictures], height=8, width=8, channels=1, low=0.0, high=16.0)
        else:
            inputs = pl.DataFrame({header: values[:, i] for i, header in enumerate(bunch.feature_names)})
        return Raw(
            inputs=inputs,
            target=pl.DataFrame([target]),
            names=[f"row {row + 1}" for row in range(rows)],
            parts=np.full(rows, UNDECIDED, np.int8),
            classes=classes is not None,
        )

    return Located(
        name=name, digest=lambda: digest_of_text(name, digest_of_array(values), digest_of_array(labels)), read=read
    )


def _diabetes() -> Any:
    return sklearn.datasets.load_diabetes(scaled=False)


BUILTIN: dict[str, Any] = {
    "breast_cancer": sklearn.datasets.load_breast_cancer,
    "diabetes": _diabetes,
    "digits": sklearn.datasets.load_digits,
    "iris": sklearn.datasets.load_iris,
    "wine": sklearn.datasets.load_wine,
}
