"""A small ResNet on digits enlarged to 16x16 pixels."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, images):
        return (images - self.mean) / self.std


class RandomShift:
    """The same shift for the whole batch, of at most one pixel."""

    def __call__(self, images):
        down, right = torch.randint(-1, 2, (2,)).tolist()
        return images.roll((down, right), dims=(2, 3))


class Compose:
    def __init__(self, *transforms):
        self.transforms = transforms

    def __call__(self, images):
        for transform in self.transforms:
            images = transform(images)
        return images


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, widths=(8, 16, 32), classes=1000):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        blocks = []
        inputs = widths[0]
        for outputs in widths:
            blocks.append(BasicBlock(inputs, outputs, stride=1 if outputs == widths[0] else 2))
            inputs = outputs
        self.layers = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.layers(self.stem(x))
        x = x.mean(dim=(2, 3))
        return self.fc(x)


def load(seed):
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
    images = F.interpolate(images, size=16, mode="bilinear", align_corners=False)
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order], labels[order]


def main(steps, seed, batch_size=64):
    torch.manual_seed(seed)
    images, labels = load(seed)
    train, val, test = slice(0, 1000), slice(1000, 1200), slice(1200, None)
    mean, std = images[train].mean(), images[train].std()
    train_transform = Compose(RandomShift(), Normalize(mean, std))
    eval_transform = Compose(Normalize(mean, std))

    model = ResNet()
    model.fc = nn.Linear(model.fc.in_features, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[7, 10], gamma=0.2)
    criterion = nn.CrossEntropyLoss()

    step = epoch = 0
    while step < steps:
        model.train()
        losses = []
        for chunk in torch.randperm(1000).split(batch_size):
            outputs = model(train_transform(images[train][chunk]))
            loss = criterion(outputs, labels[train][chunk])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            step += 1
            if step >= steps:
                break
        scheduler.step()
        model.eval()
        with torch.no_grad():
            guesses = model(eval_transform(images[val])).argmax(dim=1)
        epoch += 1
        print(f"[{epoch}] loss {sum(losses) / len(losses):.3f} accuracy {(guesses == labels[val]).float().mean():.3f}")

    # held out
    model.eval()
    with torch.no_grad():
        outputs = model(eval_transform(images[test]))
        loss = F.cross_entropy(outputs, labels[test])
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
