"""Data augmentation for whole batches: what changes in a picture while what it shows stays the same.

Each function draws for each sample by itself from `generator`, takes uint8 or floating images, and keeps dtype and
memory format; each class is the function with its settings. Cutout, mixup and CutMix are regularization's.
"""

from trainwell.augmentation.color import (
    ColorJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    color_jitter,
)
from trainwell.augmentation.compose import AUGMENTATIONS, Augmentation, Compose
from trainwell.augmentation.crop import (
    RandomCrop,
    RandomResizedCrop,
    RandomTranslation,
    random_crop,
    random_resized_crop,
    random_translation,
)
from trainwell.augmentation.flip import AlternatingFlip, HorizontalFlip, alternating_flip, horizontal_flip
from trainwell.augmentation.geometry import rotate, shear_x, shear_y, translate_x, translate_y
from trainwell.augmentation.pixels import Images
from trainwell.augmentation.randaugment import OPERATIONS, PAPER_OPERATIONS, Operation, RandAugment, rand_augment
from trainwell.augmentation.tone import autocontrast, equalize, invert, posterize, solarize
from trainwell.augmentation.views import Views, average_predictions, views_of

__all__ = [
    "AUGMENTATIONS",
    "OPERATIONS",
    "PAPER_OPERATIONS",
    "AlternatingFlip",
    "Augmentation",
    "ColorJitter",
    "Compose",
    "HorizontalFlip",
    "Images",
    "Operation",
    "RandAugment",
    "RandomCrop",
    "RandomResizedCrop",
    "RandomTranslation",
    "Views",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "alternating_flip",
    "autocontrast",
    "average_predictions",
    "color_jitter",
    "equalize",
    "horizontal_flip",
    "invert",
    "posterize",
    "rand_augment",
    "random_crop",
    "random_resized_crop",
    "random_translation",
    "rotate",
    "shear_x",
    "shear_y",
    "solarize",
    "translate_x",
    "translate_y",
    "views_of",
]
