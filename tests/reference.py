"""The papers' equations as slow loops, to compare with. Float64 in, float64 out; nothing here is clever."""

import math

import torch
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b) / (a.norm() * b.norm())


def eq12_row(similarities: list[float], pos_high: float, pos_low: float) -> list[bool]:
    """Which of one anchor's keys are difficult; the anchor itself is not among them."""
    ranked = sorted(similarities, reverse=True)
    count = len(ranked)
    sim_high = ranked[min(math.floor(pos_high * count), count - 1)]
    sim_low = ranked[min(math.floor(pos_low * count), count - 1)] if pos_low < 1 else -math.inf
    return [sim_low <= s < sim_high for s in similarities]


def eq12(features: Tensor, pos_high: float | None, pos_low: float | None) -> Tensor:
    """Difficult pairs of one batch of 2N features, (2N, 2N)."""
    count = len(features)
    difficult = torch.zeros(count, count, dtype=torch.bool)
    for i in range(count):
        others = [k for k in range(count) if k != i]
        row = [float(cosine(features[i], features[k])) for k in others]
        chosen = [True] * len(row) if pos_high is None else eq12_row(row, pos_high, 1.0 if pos_low is None else pos_low)
        for k, is_difficult in zip(others, chosen, strict=True):
            difficult[i, k] = is_difficult
    return difficult


def eq13(projections: Tensor, difficult: Tensor, temperature: float) -> Tensor:
    """Removal: the logit of pair (i, k) is ``s (1 - p) / temperature``."""
    p = difficult.to(projections.dtype)
    return _mean_over_anchors(projections, lambda i, k, s: s * (1 - p[i, k]) / temperature)


def eq14(projections: Tensor, difficult: Tensor, temperature: float, margin: float) -> Tensor:
    """Margin: ``(s + p margin) / temperature``."""
    p = difficult.to(projections.dtype)
    return _mean_over_anchors(projections, lambda i, k, s: (s + p[i, k] * margin) / temperature)


def eq15(projections: Tensor, difficult: Tensor, temperature: float, scale: float) -> Tensor:
    """Temperature: ``s / ([p scale + (1 - p)] temperature)``."""
    p = difficult.to(projections.dtype)
    return _mean_over_anchors(projections, lambda i, k, s: s / ((p[i, k] * scale + 1 - p[i, k]) * temperature))


def eq16(projections: Tensor, difficult: Tensor, temperature: float, margin: float, scale: float) -> Tensor:
    """Combined: ``(s + p margin) / ([p scale + (1 - p)] temperature)``."""
    p = difficult.to(projections.dtype)
    return _mean_over_anchors(
        projections, lambda i, k, s: (s + p[i, k] * margin) / ((p[i, k] * scale + 1 - p[i, k]) * temperature)
    )


def simclr(projections: Tensor, temperature: float) -> Tensor:
    return _mean_over_anchors(projections, lambda i, k, s: s / temperature)


def dcl(projections: Tensor, temperature: float) -> Tensor:
    """Decoupled: the positive stands in the numerator only."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        positive = (i + count // 2) % count
        logits = {k: cosine(projections[i], projections[k]) / temperature for k in range(count) if k != i}
        negatives = [torch.exp(logits[k]) for k in logits if k != positive]
        total = total - logits[positive] + torch.log(sum(negatives))
    return total / count


def dclw(projections: Tensor, temperature: float, sigma: float) -> Tensor:
    """Decoupled, the positives' terms weighted by 2 - exp(s / sigma) over its mean, without gradient."""
    count = len(projections)
    closeness = [
        math.exp(cosine(projections[i], projections[(i + count // 2) % count]).item() / sigma) for i in range(count)
    ]
    total = dcl(projections, temperature)
    for i in range(count):
        weight = 2 - closeness[i] / (sum(closeness) / count)
        positive = cosine(projections[i], projections[(i + count // 2) % count]) / temperature
        total = total + (1 - weight) * positive / count
    return total


def hcl(projections: Tensor, temperature: float, beta: float, tau_plus: float) -> Tensor:
    """Negatives weighted by e^(beta logit) over its mean, less the expected share of false ones, with a lower end."""

    def row(positive: Tensor, negatives: list[Tensor]) -> Tensor:
        tilts = [torch.exp(beta * n) for n in negatives]
        mean = sum(tilts) / len(tilts)
        expected = sum(tilt / mean * torch.exp(n) for tilt, n in zip(tilts, negatives, strict=True)) / len(tilts)
        g = (expected - tau_plus * torch.exp(positive)) / (1 - tau_plus)
        if tau_plus > 0 and g.item() < math.exp(-1 / temperature):
            g = torch.tensor(math.exp(-1 / temperature), dtype=torch.float64)
        return -torch.log(torch.exp(positive) / (torch.exp(positive) + len(negatives) * g))

    return _mean_of_rows(projections, temperature, row)


def hardness_weighted(projections: Tensor, temperature: float, strength: float) -> Tensor:
    """Each negative's term times e^(strength cosine), which carries no gradient."""

    def row(positive: Tensor, negatives: list[Tensor]) -> Tensor:
        terms = [math.exp(strength * n.item() * temperature) * torch.exp(n) for n in negatives]
        return -torch.log(torch.exp(positive) / (torch.exp(positive) + sum(terms)))

    return _mean_of_rows(projections, temperature, row)


def bcl(projections: Tensor, temperature: float, tau_plus: float, alpha: float, beta: float) -> Tensor:
    """Each negative's term times the density of hard true negatives over that of all, at its rank."""

    def weight(rank: float) -> float:
        a = (1 - 2 * alpha) * (1 - 2 * tau_plus)
        b = 2 * (alpha * (1 - tau_plus) + (1 - alpha) * tau_plus)
        low, high = 0.0, 1.0
        for _ in range(200):  # the base CDF by bisection
            middle = (low + high) / 2
            low, high = (middle, high) if a * middle**2 + b * middle < rank else (low, middle)
        lower, higher = 2 * (1 - low), 2 * low
        hard = alpha * (1 - beta) * lower + (1 - alpha) * beta * higher
        true, false = alpha * lower + (1 - alpha) * higher, (1 - alpha) * lower + alpha * higher
        norm = alpha * (1 - beta) + (1 - alpha) * beta
        return hard / norm / ((1 - tau_plus) * true + tau_plus * false)

    def row(positive: Tensor, negatives: list[Tensor]) -> Tensor:
        ranks = [sum(other.item() <= n.item() for other in negatives) / len(negatives) for n in negatives]
        terms = [weight(rank) * torch.exp(n) for rank, n in zip(ranks, negatives, strict=True)]
        return -torch.log(torch.exp(positive) / (torch.exp(positive) + sum(terms)))

    return _mean_of_rows(projections, temperature, row)


def dystress(projections: Tensor, lowest: float, highest: float) -> Tensor:
    """Each pair's temperature follows from its cosine, and carries no gradient."""

    def logit(i: int, k: int, s: Tensor) -> Tensor:
        return s / (lowest + 0.5 * (highest - lowest) * (1 + math.cos(math.pi * (1 + s.item()))))

    return _mean_over_anchors(projections, logit)


def ifm(projections: Tensor, temperature: float, epsilon: float) -> Tensor:
    """Half NT-Xent, half NT-Xent with every pair harder by epsilon."""
    count = len(projections)

    def harder(i: int, k: int, s: Tensor) -> Tensor:
        return (s - epsilon if k == (i + count // 2) % count else s + epsilon) / temperature

    return (simclr(projections, temperature) + _mean_over_anchors(projections, harder)) / 2


def spectral(projections: Tensor, temperature: float) -> Tensor:
    """-2 times the positive's inner product, plus the mean square of the negatives'."""

    def row(positive: Tensor, negatives: list[Tensor]) -> Tensor:
        return -2 * positive + sum(n**2 for n in negatives) / len(negatives)

    return _mean_of_rows(projections, temperature, row)


def sigmoid(projections: Tensor, temperature: float, bias: float) -> Tensor:
    """A logistic loss for every pair."""

    def row(positive: Tensor, negatives: list[Tensor]) -> Tensor:
        pairs = [torch.log(1 + torch.exp(n + bias)) for n in negatives]
        return torch.log(1 + torch.exp(-(positive + bias))) + sum(pairs)

    return _mean_of_rows(projections, temperature, row)


def truncated_triplet(projections: Tensor, skipped: int, kept: int, weight: float, slack: float) -> Tensor:
    """The mean of the negatives from one rank to another against the positive, as distances -2 s."""

    def row(positive: Tensor, negatives: list[Tensor]) -> Tensor:
        ranked = sorted(negatives, key=lambda n: -n.item())
        deputies = [-2 * n for n in ranked[skipped : skipped + kept] or ranked[-1:]]
        return torch.relu(weight * -2 * positive - sum(deputies) / len(deputies) + slack)

    return _mean_of_rows(projections, 1.0, row)


def supcon(projections: Tensor, labels: list[int], temperature: float, form: str) -> Tensor:
    """Every other view of an anchor's label is a positive; ``labels`` of the images, -1: the other view alone."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        label = labels[i % len(labels)]
        terms = {k: torch.exp(cosine(projections[i], projections[k]) / temperature) for k in range(count) if k != i}
        positives = [
            k for k in terms if k % len(labels) == i % len(labels) or (label >= 0 and labels[k % len(labels)] == label)
        ]
        shares = [terms[k] / sum(terms.values()) for k in positives]
        if form == "out":
            total = total - sum(torch.log(share) for share in shares) / len(shares)
        else:
            total = total - torch.log(sum(shares) / len(shares))
    return total / count


def hard_supcon(projections: Tensor, labels: list[int], temperature: float, beta: float) -> Tensor:
    """Each positive against the keys of other labels, tilted to the hard ones."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        label, image = labels[i % len(labels)], i % len(labels)
        logits = {k: cosine(projections[i], projections[k]) / temperature for k in range(count) if k != i}
        positives = [k for k in logits if k % len(labels) == image or (label >= 0 and labels[k % len(labels)] == label)]
        negatives = [logits[k] for k in logits if k not in positives]
        tilts = [torch.exp(beta * n) for n in negatives]
        mean = sum(tilts) / len(tilts)
        tilted = sum(tilt / mean * torch.exp(n) for tilt, n in zip(tilts, negatives, strict=True))
        each = [-torch.log(torch.exp(logits[k]) / (torch.exp(logits[k]) + tilted)) for k in positives]
        total = total + sum(each) / len(each)
    return total / count


def paco(projections: Tensor, labels: list[int], temperature: float, alpha: float, centres: Tensor) -> Tensor:
    """Supervised contrast with centres among the keys, of weight 1 where a sample has alpha."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        label, image = labels[i % len(labels)], i % len(labels)
        of_samples = {k: cosine(projections[i], projections[k]) / temperature for k in range(count) if k != i}
        of_centres = [cosine(projections[i], centre) / temperature for centre in centres]
        whole = sum(torch.exp(value) for value in [*of_samples.values(), *of_centres])
        weighted = [
            (alpha, of_samples[k])
            for k in of_samples
            if k % len(labels) == image or (label >= 0 and labels[k % len(labels)] == label)
        ]
        weighted += [(1.0, value) for number, value in enumerate(of_centres) if number == label]
        terms = [weight * torch.log(torch.exp(value) / whole) for weight, value in weighted]
        total = total - sum(terms) / sum(weight for weight, _ in weighted)
    return total / count


def fnc(projections: Tensor, temperature: float, mode: str, top_k: int, threshold: float, aggregate: str) -> Tensor:
    """Negatives too similar to the anchor or its positive leave the sum, or are positives."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        positive = (i + count // 2) % count
        others = [k for k in range(count) if k not in (i, positive)]
        scores = {}
        for k in others:
            both = [cosine(projections[view], projections[k]).item() for view in (i, positive)]
            scores[k] = max(both) if aggregate == "max" else sum(both) / 2
        ranked = sorted(others, key=lambda k: -scores[k])
        false = [k for k in ranked[:top_k] if scores[k] > threshold]
        logits = {k: cosine(projections[i], projections[k]) / temperature for k in [*others, positive]}
        if mode == "eliminate":
            kept = sum(torch.exp(logits[k]) for k in logits if k not in false)
            total = total - torch.log(torch.exp(logits[positive]) / kept)
        else:
            whole = sum(torch.exp(value) for value in logits.values())
            shares = [torch.log(torch.exp(logits[k]) / whole) for k in [positive, *false]]
            total = total - sum(shares) / len(shares)
    return total / count


def glofnd(projections: Tensor, temperature: float, thresholds: list[float]) -> Tensor:
    """Negatives more similar than the anchor's image's threshold leave the sum."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        positive = (i + count // 2) % count
        logits = {}
        for k in range(count):
            s = cosine(projections[i], projections[k])
            if k == positive or (k != i and s.item() <= thresholds[i % len(thresholds)]):
                logits[k] = s / temperature
        total = total - torch.log(torch.exp(logits[positive]) / sum(torch.exp(value) for value in logits.values()))
    return total / count


def shares_above(projections: Tensor, thresholds: list[float]) -> list[float]:
    """Of each image, the mean over its two anchors of the share of negatives above its threshold."""
    count = len(projections)
    shares = []
    for i in range(count):
        negatives = [k for k in range(count) if k not in (i, (i + count // 2) % count)]
        found = [cosine(projections[i], projections[k]).item() > thresholds[i % len(thresholds)] for k in negatives]
        shares.append(sum(found) / len(negatives))
    return [(shares[i] + shares[i + count // 2]) / 2 for i in range(count // 2)]


def adam(value: float, gradients: list[float], rate: float) -> float:
    """Adam with the decays 0.9 and 0.98, clamped to the range of a cosine after every step."""
    mean = square = 0.0
    for step, gradient in enumerate(gradients, start=1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.98 * square + 0.02 * gradient**2
        value -= rate * (mean / (1 - 0.9**step)) / (math.sqrt(square / (1 - 0.98**step)) + 1e-8)
        value = min(1.0, max(-1.0, value))
    return value


def synthetic(kind: str, q: Tensor, n: Tensor, m: Tensor, u: float, z: Tensor, size: float) -> Tensor:
    """One synthetic negative, of unit length."""
    if kind == "interpolated":
        made = u * size * q + (1 - u * size) * n
    elif kind == "extrapolated":
        made = q + (1 + u * (size - 1)) * (n - q)
    elif kind == "mixed":
        made = u * size * n + (1 - u * size) * m
    elif kind == "noised":
        made = n + size * z
    elif kind == "perturbed":
        made = n + size * q
    else:
        made = torch.stack([n[d] + size * math.copysign(1, q[d].item()) for d in range(len(n))])
    return made / made.norm()


def _mean_of_rows(projections: Tensor, temperature: float, row) -> Tensor:
    """Mean over the anchors of ``row(positive's logit, negatives' logits)``."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        positive = (i + count // 2) % count
        logits = {k: cosine(projections[i], projections[k]) / temperature for k in range(count) if k != i}
        total = total + row(logits[positive], [logits[k] for k in logits if k != positive])
    return total / count


def _mean_over_anchors(projections: Tensor, logit) -> Tensor:
    """Mean of ``-log softmax`` at the positive; rows are views-major: image i stands at i and at N + i."""
    count = len(projections)
    total = projections.new_zeros(())
    for i in range(count):
        positive = (i + count // 2) % count
        logits = {k: logit(i, k, cosine(projections[i], projections[k])) for k in range(count) if k != i}
        total = total - (logits[positive] - torch.log(sum(torch.exp(value) for value in logits.values())))
    return total / count


def hardest_candidate(pool: Tensor, tied: float) -> int:
    """Largest mean dissimilarity to the others of a pool (candidates, dim); the first of those that are tied."""
    hardness = []
    for u in range(len(pool)):
        others = [v for v in range(len(pool)) if v != u]
        hardness.append(math.fsum(-float(pool[u] @ pool[v]) for v in others) / max(1, len(others)))
    return next(u for u in range(len(pool)) if hardness[u] >= max(hardness) - tied)


def farthest_points(pool: Tensor, start: int, count: int, tied: float) -> list[int]:
    """Farthest-point iteration; the first of those that are tied."""
    chosen = [start]
    for _ in range(count):
        left = [u for u in range(len(pool)) if u not in chosen]
        distance = {u: min(-float(pool[u] @ pool[v]) for v in chosen) for u in left}
        chosen.append(next(u for u in left if distance[u] >= max(distance.values()) - tied))
    return chosen[1:]


def screened_row(similarities: list[float], share: float, tied: float) -> list[bool]:
    """The fewest largest values whose sum reaches the share of the whole sum; the first among equals."""
    ranked = sorted(range(len(similarities)), key=lambda k: (-similarities[k], k))
    total, kept = math.fsum(similarities), [False] * len(similarities)
    for taken in range(1, len(ranked) + 1):
        kept[ranked[taken - 1]] = True
        if share < 1 and math.fsum(similarities[k] for k in ranked[:taken]) >= share * total * (1 - tied):
            break
    return kept


def pair_kinds(features: Tensor, targets: Tensor, difficult: Tensor) -> tuple[list[float], list[float], list[float]]:
    """Cosines of the pairs of one class, of two classes without a difficult image, and of two classes with one."""
    same, easy, hard = [], [], []
    for i in range(len(features)):
        for j in range(i + 1, len(features)):
            if targets[i] < 0 or targets[j] < 0:
                continue
            kind = same if targets[i] == targets[j] else hard if difficult[i] or difficult[j] else easy
            kind.append(float(cosine(features[i], features[j])))
    return same, easy, hard


def selection_counts(features: Tensor, targets: Tensor, pos_high: float, pos_low: float) -> list[int]:
    """Pairs of a batch, selected ones, those of them with labels, and those of different classes."""
    difficult = eq12(features, pos_high, pos_low)
    counts = [0, 0, 0, 0]
    for i in range(len(features)):
        for k in range(len(features)):
            labelled = bool(difficult[i, k]) and targets[i] >= 0 and targets[k] >= 0
            seen = (i != k, difficult[i, k], labelled, labelled and targets[i] != targets[k])
            counts = [count + int(new) for count, new in zip(counts, seen, strict=True)]
    return counts
