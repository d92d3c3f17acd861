"""SPACL without images: a small encoder of scikit-learn's breast-cancer table, in seconds on one CPU core.

``python examples/spacl_on_vectors.py`` trains on the 30 numbers of each patient, without labels, and prints what a
linear probe reads from the embeddings of held-out patients. A view of a patient is the row with some numbers replaced
by those of other patients (SCARF, arXiv:2106.15147); the pool also holds the row as it is.
"""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lit_hardcl import SPACLLoss
from lit_hardcl.functional import unit_vectors
from lit_hardcl.losses import hard_sets

VIEWS, REPLACED, EPOCHS, BATCH = 3, 0.3, 60, 64


def view(rows: Tensor, everybody: Tensor, generator: torch.Generator) -> Tensor:
    """Replace a share of each row's numbers by those that others have in the same column."""
    others = torch.randint(len(everybody), rows.shape, generator=generator)
    replaced = torch.rand(rows.shape, generator=generator) < REPLACED
    return torch.where(replaced, everybody.gather(0, others), rows)


def train(rows: Tensor, seed: int = 0) -> nn.Module:
    """An encoder of such rows, trained by hard positives and screened negatives."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(rows.shape[1], 128), nn.ReLU(), nn.Linear(128, 64))
    head = nn.Sequential(nn.ReLU(), nn.Linear(64, 32))
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=1e-3)
    criterion = SPACLLoss(temperature=0.5, screening_share=0.95)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows), generator=generator).split(BATCH):
            views = [view(rows[batch], rows, generator) for _ in range(VIEWS)] + [rows[batch]]
            candidates = unit_vectors(head(encoder(torch.stack(views))))  # (views, rows, dim), the row itself last
            chosen = hard_sets(candidates, count=2)
            flat, patients = candidates.flatten(0, 1), torch.arange(len(batch))
            loss = criterion(
                flat[chosen.anchors], chosen.positives, flat, patients[chosen.images], patients.repeat(len(views))
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return encoder


def probed(encoder: nn.Module, train_rows: Tensor, train_labels: object, rows: Tensor, labels: object) -> float:
    """Accuracy of a logistic regression on frozen embeddings."""
    with torch.no_grad():
        embeddings, held_out = encoder(train_rows).numpy(), encoder(rows).numpy()
    return LogisticRegression(max_iter=5000).fit(embeddings, train_labels).score(held_out, labels)


def main() -> dict[str, float]:
    """Train, and print the accuracies of the trained encoder, of an untrained one and of the numbers themselves."""
    table = load_breast_cancer()
    rows, held_out, labels, held_out_labels = train_test_split(
        table.data, table.target, test_size=0.3, stratify=table.target, random_state=0
    )
    scaler = StandardScaler().fit(rows)
    rows, held_out = (torch.from_numpy(scaler.transform(part)).float() for part in (rows, held_out))
    few = slice(0, 40)  # labelled patients, as labels are what self-supervision saves
    torch.manual_seed(0)
    untrained = nn.Sequential(nn.Linear(rows.shape[1], 128), nn.ReLU(), nn.Linear(128, 64))
    encoders = {"SPACL": train(rows), "untrained": untrained, "the numbers themselves": nn.Identity()}
    accuracy = {
        name: probed(encoder, rows[few], labels[few], held_out, held_out_labels) for name, encoder in encoders.items()
    }
    for name, value in accuracy.items():
        print(f"{name:24}{value:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
