"""Make tiny networks as the hub's cache holds them, load them, and print what was found as JSON.

A process of its own: torchvision's wheel expects two operators of a torch that was built with it.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

declared = torch.library.Library("torchvision", "DEF")
declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from timm.models import save_for_hf  # noqa: E402

from trainwell.core.errors import TrainwellError  # noqa: E402
from trainwell.core.records.layout import InputLayout  # noqa: E402
from trainwell.models.backbones import load_backbone  # noqa: E402
from trainwell.models.pretrained import Pretrained, features_of  # noqa: E402


def in_cache(cache: Path, name: str) -> Path:
    """The folder of a repository's only revision."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    folder = repository / "snapshots" / ("0" * 40)
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Build, load, compare."""
    cache = Path(sys.argv[1])
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, 64, 64)
    found: dict[str, Any] = {}

    network: Any = timm.create_model("resnet10t", pretrained=False, num_classes=5).eval()
    save_for_hf(network, str(in_cache(cache, "tiny/resnet")), safe_serialization=True)
    loaded = load_backbone("hub:tiny/resnet")
    with torch.no_grad():
        wanted = network.forward_head(network.forward_features(pixels), pre_logits=True)
        found["timm"] = {
            "features": loaded.features,
            "same": bool(torch.equal(loaded.network(pixels), wanted)),
            "sees": [loaded.sees.size, list(loaded.sees.mean), list(loaded.sees.std), loaded.sees.interpolation],
            "trains": any(parameter.requires_grad for parameter in loaded.network.parameters()),
        }
    pictures = torch.randint(0, 255, (2, 20, 30, 3), dtype=torch.uint8)
    model = Pretrained(InputLayout(kind="image", height=20, width=30, channels=3), loaded)
    found["timm"]["input"] = list(model.input(pictures).shape)
    found["timm"]["from pictures"] = list(features_of(model, pictures).shape)

    folder = in_cache(cache, "tiny/vit")
    configuration = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=64, patch_size=16
    )
    classifier: Any = transformers.ViTForImageClassification(configuration)
    classifier.eval()
    classifier.save_pretrained(folder)
    preprocessing = {
        "size": {"height": 64, "width": 64},
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
        "resample": 2,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    loaded = load_backbone("hub:tiny/vit")
    with torch.no_grad():
        wanted = classifier.vit(pixel_values=pixels).last_hidden_state[:, 0]
        found["transformers"] = {
            "features": loaded.features,
            "same": bool(torch.allclose(loaded.network(pixels), wanted, atol=1e-6)),
            "sees": [loaded.sees.size, list(loaded.sees.mean), list(loaded.sees.std), loaded.sees.interpolation],
        }

    def refused(name: str) -> str:
        try:
            load_backbone(name)
        except TrainwellError as error:
            return str(error)
        return ""

    folder = in_cache(cache, "tiny/pickle")
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet10t"}))
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    folder = in_cache(cache, "tiny/other")
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet10t"}))
    save_file({"fc.weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    words = transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    transformers.BertModel(words).save_pretrained(in_cache(cache, "tiny/words"))
    folder = in_cache(cache, "tiny/broken")
    (folder / "config.json").write_text("{")
    for name in ("pickle", "other", "words", "broken", "nowhere"):
        found[name] = refused(f"hub:tiny/{name}")
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
