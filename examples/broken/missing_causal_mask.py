"""A small transformer that learns to spell: its loss falls almost to 0, and what it writes is noise."""

import torch
from torch import nn

TEXT = "the quick brown fox jumps over the lazy dog while seven wizards box with a quiet judge in new york. " * 30
LENGTH = 32


class Speller(nn.Module):
    def __init__(self, letters: int, width: int = 64) -> None:
        super().__init__()
        self.letter = nn.Embedding(letters, width)
        self.position = nn.Embedding(LENGTH, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.output = nn.Linear(width, letters)

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        features = self.letter(text) + self.position(torch.arange(text.shape[1]))
        return self.output(self.body(features))


def main() -> None:
    torch.manual_seed(0)
    alphabet = sorted(set(TEXT))
    data = torch.tensor([alphabet.index(letter) for letter in TEXT])
    model = Speller(len(alphabet))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(300):
        starts = torch.randint(len(data) - LENGTH - 1, (16,))
        text = torch.stack([data[start : start + LENGTH] for start in starts])
        following = torch.stack([data[start + 1 : start + LENGTH + 1] for start in starts])
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(text).flatten(0, 1), following.flatten())
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    written = data[:LENGTH]
    for _ in range(60):
        written = torch.cat([written, model(written[None, -LENGTH:])[0, -1].argmax()[None]])
    print("".join(alphabet[number] for number in written.tolist()))


if __name__ == "__main__":
    main()
