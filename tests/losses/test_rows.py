"""Every loss is its paper's sum, however it is cut into rows; the engine keeps gradients or refuses to lose them."""

import copy
import dataclasses

import pytest
import reference
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lit_hardcl import DifficultPairLoss
from lit_hardcl.functional import cosine_similarity, nt_xent_rows, pair_logits, unit_vectors
from lit_hardcl.losses import (
    BCLLoss,
    DCLLoss,
    DebiasedLoss,
    DySTreSSLoss,
    FNCLoss,
    GloFNDLoss,
    HardnessWeightedLoss,
    HardSupConLoss,
    HCLLoss,
    IFMLoss,
    PaCoLoss,
    Rectangle,
    RowLoss,
    SigmoidLoss,
    SpectralLoss,
    SupConLoss,
    TruncatedTripletLoss,
    by_rows,
)
from lit_hardcl.losses.rectangle import widened
from lit_hardcl.losses.rows import OwnKeys

LABELS = [0, 1, 0, -1, 1, 2]
BAND = (0.2, 0.6)


class OfSixImages(GloFNDLoss):
    """Learned thresholds, all alike here, of anchors whose images nobody has told."""

    uses_indices = False

    def __init__(self):
        super().__init__(0.5, images=6, warm_up=0)
        self.eval().thresholds.fill_(0.3)

    def of(self, given):
        images = torch.arange(len(given.anchors)) % 6 if given.anchor_images is None else given.anchor_images
        return super().of(dataclasses.replace(given, anchor_images=images))


PACO = PaCoLoss(0.5, num_classes=9, dim=5, alpha=0.2).double()
PACO.centres.data = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
LOSSES = {  # the loss, and its sum in loops over the projections of two views
    "nt_xent": (DifficultPairLoss(0.5), lambda z: reference.simclr(z, 0.5)),
    "combined": (
        DifficultPairLoss(0.5, *BAND, margin=0.1, temperature_scale=0.6),
        lambda z: reference.eq16(z, reference.eq12(z.detach(), *BAND), 0.5, 0.1, 0.6),
    ),
    "dcl": (DCLLoss(0.5), lambda z: reference.dcl(z, 0.5)),
    "dclw": (DCLLoss(0.5, "von_mises_fisher", sigma=0.4), lambda z: reference.dclw(z, 0.5, 0.4)),
    "debiased": (DebiasedLoss(0.5, 0.1), lambda z: reference.hcl(z, 0.5, 0.0, 0.1)),
    "debiased, at its lower end": (DebiasedLoss(0.5, 0.6), lambda z: reference.hcl(z, 0.5, 0.0, 0.6)),
    "hcl": (HCLLoss(0.5, 1.5, 0.1), lambda z: reference.hcl(z, 0.5, 1.5, 0.1)),
    "hardness weighted": (HardnessWeightedLoss(0.5, 2.0), lambda z: reference.hardness_weighted(z, 0.5, 2.0)),
    "bcl": (BCLLoss(0.5, 0.1, 0.7, 0.9), lambda z: reference.bcl(z, 0.5, 0.1, 0.7, 0.9)),
    "dystress": (DySTreSSLoss(0.2, 0.6), lambda z: reference.dystress(z, 0.2, 0.6)),
    "ifm": (IFMLoss(0.5, 0.1), lambda z: reference.ifm(z, 0.5, 0.1)),
    "spectral": (SpectralLoss(0.5), lambda z: reference.spectral(z, 0.5)),
    "sigmoid": (SigmoidLoss(0.5, -1.5), lambda z: reference.sigmoid(z, 0.5, -1.5)),
    "truncated triplet": (
        TruncatedTripletLoss(2, 3, 1.5, slack=1.0),
        lambda z: reference.truncated_triplet(z, 2, 3, 1.5, 1.0),
    ),
    "supcon out": (SupConLoss(0.5), lambda z: reference.supcon(z, LABELS, 0.5, "out")),
    "supcon in": (SupConLoss(0.5, form="in"), lambda z: reference.supcon(z, LABELS, 0.5, "in")),
    "hard supcon": (HardSupConLoss(0.5, 1.5), lambda z: reference.hard_supcon(z, LABELS, 0.5, 1.5)),
    "paco": (PACO, lambda z: reference.paco(z, LABELS, 0.5, 0.2, PACO.centres.detach())),
    "fnc, eliminated": (
        FNCLoss(0.5, top_k=3, threshold=0.3),
        lambda z: reference.fnc(z, 0.5, "eliminate", 3, 0.3, "max"),
    ),
    "fnc, attracted": (
        FNCLoss(0.5, "attract", 3, 0.1, "mean"),
        lambda z: reference.fnc(z, 0.5, "attract", 3, 0.1, "mean"),
    ),
    "glofnd": (OfSixImages(), lambda z: reference.glofnd(z, 0.5, [0.3])),
}


def projections(images=6, seed=0, dtype=torch.float64):
    return torch.randn(2 * images, 5, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk_size", [None, 1, 5, 100])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_are_the_papers(name, chunk_size):
    criterion, by_hand = LOSSES[name]
    criterion.chunk_size = chunk_size
    ours, theirs = projections().requires_grad_(), projections().requires_grad_()
    loss, expected = criterion(*ours.chunk(2), targets=torch.tensor(LABELS)), by_hand(theirs)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad(value, z)[0] for value, z in ((loss, ours), (expected, theirs))]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


TREATABLE = [name for name, (criterion, _) in LOSSES.items() if not criterion.untreatable]


def known(z, features=None):
    """The rectangle of two views that stand in one tensor."""
    sides = z, None, torch.arange(12).roll(6), torch.arange(12)
    return Rectangle(*sides, features, None, torch.tensor(LABELS).repeat(2), None, torch.arange(6).repeat(2))


@pytest.mark.parametrize("name", TREATABLE)
@pytest.mark.parametrize("scale", [0.6, float("inf")])
def test_every_formula_meets_treated_similarities(name, scale):
    criterion = copy.deepcopy(LOSSES[name][0])
    criterion.pos_high, criterion.pos_low, criterion.margin, criterion.temperature_scale = *BAND, 0.1, scale
    z, features = projections().requires_grad_(), projections(seed=3)
    rectangle = criterion.prepared(known(z))
    cosines = cosine_similarity(z, rectangle.keys)
    difficult = widened(reference.eq12(features, *BAND), cosines)
    treated = pair_logits(cosines, difficult, 1.0, 0.1, scale)
    due = criterion.formula(rectangle)(treated, slice(0, 12), *criterion.learned()).mean()
    loss = criterion.of(known(z, features))
    torch.testing.assert_close(loss, due, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(value, z)[0] for value in (loss, due)), rtol=1e-10, atol=1e-12)


class OwnSynthetic:
    """Two keys of each anchor's own, made of its first and last key."""

    def __init__(self, keys):
        self.keys = unit_vectors(keys.detach())

    def __call__(self, rows, similarity):
        assert similarity.shape == (len(range(*rows.indices(12))), len(self.keys))
        assert not similarity.requires_grad
        one = similarity[:, :1] * self.keys[0] + self.keys[-1]
        return unit_vectors(torch.stack([one, self.keys[rows]], dim=1))


@pytest.mark.parametrize("name", LOSSES)
def test_an_anchor_may_have_keys_of_its_own(name):
    criterion = copy.deepcopy(LOSSES[name][0])
    criterion.chunk_size = 5
    z, treats = projections().requires_grad_(), criterion.treats
    given = dataclasses.replace(known(z, z.detach() if treats else None), own_keys=OwnKeys(OwnSynthetic(z), 2))
    rectangle = criterion.prepared(given)
    cosines = cosine_similarity(z, rectangle.keys)
    more = given.own_keys.make(slice(0, 12), cosines.detach()[:, :12])
    cosines = torch.cat([cosines, (more * unit_vectors(z).unsqueeze(1)).sum(dim=2)], dim=1)
    if treats:
        difficult = widened(reference.eq12(z.detach(), *BAND), cosines)
        cosines = pair_logits(cosines, difficult, 1.0, criterion.margin, criterion.temperature_scale)
    due = criterion.formula(rectangle)(cosines, slice(0, 12), *criterion.learned()).mean()
    loss = criterion.of(given)
    torch.testing.assert_close(loss, due, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(value, z)[0] for value in (loss, due)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_keys_may_be_others_with_and_without_gradient(name):
    criterion, _ = LOSSES[name]
    z, targets = projections(), torch.tensor(LABELS).repeat(2)
    own, positives = torch.arange(12), torch.arange(12).roll(6)
    (whole,) = torch.autograd.grad(criterion(*z.requires_grad_().chunk(2), targets=torch.tensor(LABELS)), z)
    anchors, keys = z.detach().clone().requires_grad_(), z.detach().clone().requires_grad_()
    labels = (None, None, targets, targets)
    parts = torch.autograd.grad(criterion.of_rectangle(anchors, keys, positives, own, *labels), (anchors, keys))
    torch.testing.assert_close(sum(parts), whole, rtol=1e-10, atol=1e-12)
    queue = criterion.of_rectangle(anchors, keys.detach(), positives, own, *labels)
    torch.testing.assert_close(torch.autograd.grad(queue, anchors)[0], parts[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_and_autocast_change_nothing(name):
    criterion, _ = LOSSES[name]
    z = projections(dtype=torch.float32).bfloat16()
    due = criterion(*z.float().chunk(2), targets=torch.tensor(LABELS))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(criterion(*z.chunk(2), targets=torch.tensor(LABELS)), due)


@pytest.mark.parametrize("form", ["out", "in"])
def test_supcon_of_labels_that_occur_once_is_nt_xent(form):
    z = projections().chunk(2)
    torch.testing.assert_close(SupConLoss(0.5, form)(*z, targets=torch.arange(6)), DifficultPairLoss(0.5)(*z))


def test_supcon_refuses_what_it_cannot_know(unchecked_shapes):
    with pytest.raises(ValueError, match="a loss of labels needs targets, got none"):
        SupConLoss(0.5)(*projections().chunk(2))
    for labels in (torch.eye(6), torch.eye(6).long(), torch.rand(6), torch.arange(6) > 3):
        with pytest.raises(
            ValueError, match="targets must be a tensor of class numbers, one for each image, got torch"
        ):
            SupConLoss(0.5)(*projections().chunk(2), targets=labels)
    with pytest.raises(ValueError, match="form must be 'out' or 'in', got 'both'"):
        SupConLoss(0.5, form="both")
    with pytest.raises(ValueError, match="targets must belong to the 6 projections, got 5"):
        SupConLoss(0.5)(*projections().chunk(2), targets=torch.arange(5))


@pytest.mark.parametrize("kind", [DCLLoss, SupConLoss, RowLoss])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_a_temperature_must_be_positive_and_finite(kind, temperature):
    with pytest.raises(ValueError, match="temperature must be positive and finite, got"):
        kind(temperature)


def test_a_learned_temperature_gets_its_gradient():
    z, positives = projections(), torch.arange(12).roll(6)
    itself = torch.eye(12, dtype=torch.bool)

    def loss(similarity, rows, temperature):
        return nt_xent_rows(similarity / temperature, positives[rows], itself[rows])

    def whole(z, temperature):
        return loss(cosine_similarity(z), slice(None), temperature).mean()

    gradients = []
    for by in (lambda z, t: by_rows(z, None, loss, 5, [t]), whole):
        anchors, temperature = z.clone().requires_grad_(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        gradients.append(torch.autograd.grad(3 * by(anchors, temperature * 1), (anchors, temperature)))
    for got, due in zip(*gradients, strict=True):
        torch.testing.assert_close(got, due, rtol=1e-10, atol=1e-12)


def test_a_gradient_that_would_be_lost_is_refused():
    temperature = torch.tensor(0.5, requires_grad=True)
    z = projections(dtype=torch.float32).requires_grad_()
    for value in (temperature, temperature * 2):  # itself, or what was made of it
        with pytest.raises(ValueError, match=r"only as others of by_rows, got one of shape \(\) from elsewhere"):
            by_rows(z, None, lambda similarity, rows, value=value: (similarity / value).sum(dim=1))


def test_no_graph_is_made_where_none_is_asked_for():
    z, temperature = projections().requires_grad_(), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def formula(similarity, rows, temperature):
        assert not similarity.requires_grad
        assert not temperature.requires_grad
        return (similarity / temperature).sum(dim=1)

    with torch.no_grad():
        assert not by_rows(z, None, formula, others=[temperature]).requires_grad


def test_a_row_that_is_nan_makes_the_loss_nan():
    z = projections()
    z[3, 2] = torch.nan
    assert DCLLoss(0.5)(*z.chunk(2)).isnan()
    assert DCLLoss(0.5)(*projections().chunk(2), *z.chunk(2)).isnan()


class Largest(TorchDispatchMode):
    """Watches how many elements the largest tensor has that is made."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return made


@pytest.mark.parametrize("name", LOSSES)
def test_memory_does_not_grow_with_the_square(name):
    criterion, _ = LOSSES[name]
    criterion.chunk_size = None
    z = projections(1024, dtype=torch.float32).requires_grad_()
    with Largest() as largest:
        criterion(*z.chunk(2), targets=torch.arange(1024) % 9).backward()
    assert largest.elements <= 2**20 < 2048**2
    assert largest.elements > 2**19  # the matrix of a chunk was seen


def test_all_rows_are_taken_once():
    sizes = []

    def formula(similarity, rows):
        sizes.append(similarity.numel())
        return similarity.sum(dim=1)

    by_rows(torch.randn(4096, 4), None, formula)
    assert max(sizes) <= 2**20
    assert sum(sizes) == 4096**2


def test_a_formula_gives_one_number_for_each_anchor_and_carries_a_gradient():
    z = projections().requires_grad_()
    for formula, shape in ((lambda s, rows: s, r"\(12, 12\)"), (lambda s, rows: s.mean(), r"\(\)")):
        with pytest.raises(ValueError, match=f"one number for each of the 12 anchors, got {shape}"):
            by_rows(z, None, formula)
    with pytest.raises(ValueError, match="must carry the gradient of the similarities"):
        by_rows(z, None, lambda similarity, rows: similarity.detach().sum(dim=1))
    with pytest.raises(NotImplementedError, match=r"RowLoss has no formula\(rectangle\)"):
        RowLoss()(*projections().chunk(2))


def test_a_gradient_that_would_be_lost_in_a_later_chunk_is_refused_too():
    learned = torch.ones(1, requires_grad=True)

    def formula(cosines, rows):
        return (cosines if rows.start == 0 else cosines * learned).sum(dim=1)

    with pytest.raises(ValueError, match="got one of shape .*1.* from elsewhere"):
        by_rows(projections().float().requires_grad_(), None, formula, chunk_size=5)


class Featured(RowLoss):
    """Anybody's loss of rows that asks for features."""

    uses_features = True

    def formula(self, rectangle):
        return lambda cosines, rows: cosines.sum(dim=1) + rectangle.anchor_features[rows].sum(dim=1)


class Ranked(DifficultPairLoss):
    """Another formula over difficult pairs, which the projections rank where there are no features."""

    def formula(self, rectangle):
        return super().formula(rectangle)


class Untreatable(DCLLoss):
    """A loss for which a treatment makes no sense."""

    untreatable = "it has one negative"


def test_settings_of_a_treatment_are_refused_where_they_make_no_sense(unchecked_shapes):
    for settings in ({"margin": 0.1}, {"temperature_scale": 0.5, "band": (0.1, 0.2)}):
        with pytest.raises(ValueError, match="Untreatable takes no margin and no temperature_scale, .*: it has one n"):
            Untreatable(0.5, **settings)
    assert Untreatable(0.5, band=(0.1, None)).pos_high == 0.1
    with pytest.raises(ValueError, match="band must be two ranks, where it begins and where it ends, got"):
        DCLLoss(0.5, band=(0.1,))
    with pytest.raises(ValueError, match="0 <= pos_high < pos_low <= 1 must hold, got pos_high=0.5 and pos_low=0.2"):
        DCLLoss(0.5, band=(0.5, 0.2))


def test_a_loss_that_knows_images_is_not_given_a_batch_without(unchecked_shapes):
    class Knowing(DCLLoss):
        uses_indices = True

    z = projections().chunk(2)
    assert Knowing(0.5)(*z, indices=torch.arange(6)).isfinite()
    with pytest.raises(ValueError, match="Knowing knows images by index, got none: give indices"):
        Knowing(0.5)(*z)
    with pytest.raises(ValueError, match="indices must belong to the 6 projections, got 5"):
        Knowing(0.5)(*z, indices=torch.arange(5))


def test_a_loss_that_uses_features_is_not_given_a_batch_without():
    z0, z1 = projections().chunk(2)
    assert Featured()(z0, z1, z0, z1).isfinite()
    with pytest.raises(ValueError, match="Featured uses features, got none: give h0 and h1"):
        Featured()(z0, z1)
    settings = {"pos_high": 0.2, "pos_low": 0.6, "margin": 0.1}
    torch.testing.assert_close(Ranked(0.5, **settings)(z0, z1), DifficultPairLoss(0.5, **settings)(z0, z1))


@pytest.mark.parametrize("criterion", [criterion for criterion, _ in LOSSES.values()], ids=LOSSES)
def test_whole_numbers_are_no_embeddings(criterion, unchecked_shapes):
    whole = torch.arange(12).reshape(2, 3, 2)
    with pytest.raises(ValueError, match=r"must be floating-point numbers, got torch.int64: call .float\(\)"):
        criterion(*whole, targets=torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="must be floating-point numbers"):
        criterion(*whole.double(), *whole, targets=torch.tensor([0, 1, 0]))


WITH_EXPONENTIALS = {*LOSSES} - {"combined", "dystress", "spectral", "truncated triplet"}  # of cosines by temperature


@pytest.mark.parametrize("name", sorted(WITH_EXPONENTIALS))
@pytest.mark.parametrize("temperature", [1e-30, 1e30])
def test_at_the_ends_of_the_temperatures_loss_and_gradient_are_those_of_float64(name, temperature):
    criterion = copy.deepcopy(LOSSES[name][0])
    criterion.temperature = temperature
    found = []
    for dtype in (torch.float32, torch.float64):
        z = projections(dtype=torch.float32).to(dtype).requires_grad_()
        loss = criterion(*z.chunk(2), targets=torch.tensor(LABELS))
        found.append((loss.double() * temperature, torch.autograd.grad(loss, z)[0].double() * temperature))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6 * found[1][0].item())
    with pytest.raises(ValueError, match="the largest logit, .* must be in 1e-30"):
        RowLoss(temperature**2)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "dclw"])  # whose anchors weigh against each other
def test_other_keys_of_an_anchors_image_are_as_if_they_were_not_there(name):
    criterion, _ = LOSSES[name]
    z, targets, positives = projections(), torch.tensor(LABELS).repeat(2), torch.arange(12).roll(6)
    older, images = projections(seed=1), torch.arange(6).repeat(2)
    together, labels = torch.cat([z, older]), torch.cat([targets, targets])
    every = (z, together, positives, torch.arange(12), None, None, targets, labels)
    of_keys = torch.cat([torch.full_like(images, -1), images])
    rows = torch.stack(
        [
            criterion.of_rectangle(
                z[[i]], together[keep], (keep == positives[i]).nonzero()[0], (keep == i).nonzero()[0], None, None,
                targets[[i]], labels[keep],
            )
            for i, keep in enumerate((of_keys != image).nonzero().flatten() for image in images)
        ]
    )  # fmt: skip
    loss = criterion.of_rectangle(*every, anchor_images=images, key_images=of_keys)
    torch.testing.assert_close(loss, rows.mean(), rtol=1e-10, atol=1e-12)
    assert loss != criterion.of_rectangle(*every)


@pytest.mark.parametrize("name", LOSSES)
def test_an_anchor_that_keeps_its_positive_alone_has_a_finite_loss_and_gradient(name):
    criterion, _ = LOSSES[name]
    z, nobody = projections().requires_grad_(), torch.zeros(12, dtype=torch.long)
    known = {"anchor_images": nobody, "key_images": nobody, "anchor_targets": nobody, "key_targets": nobody}
    loss = criterion.of_rectangle(z, projections(seed=1), torch.arange(12), **known)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    if name not in ("spectral", "sigmoid", "paco"):  # which bring the positive nearer whatever else there is
        assert loss.abs() < 1e-12
        assert gradient.abs().max() < 1e-12
