"""Which remedy lowers the bound on the error, where."""

from lit_hardcl.theory.bounds import eigenvalue_difficult_stated, eigenvalue_no_difficult, eigenvalue_removed
from lit_hardcl.theory.checks import check_graph, require, whole
from lit_hardcl.theory.eigenvalues import eigenvalue
from lit_hardcl.theory.graph import Structure
from lit_hardcl.theory.remedies import temperature_bound


def helpful_remedies(
    n: int,
    r: int,
    n_d: int,
    alpha: float,
    beta: float,
    gamma: float,
    structure: Structure = "all",
    *,
    k: int,
    as_stated: bool = False,
) -> tuple[str, ...]:
    """The remedies of arXiv:2501.01317 whose bound on the error is strictly below that of doing nothing, best first.

    Some of "margin" (Thm 4.3), "removal" (Cor. 4.1) and "temperature" (Thm 4.5), by their bounds for k-dimensional
    features. The margin's is that of clean data and below the others, so that it is there whenever another is. In
    "all" nothing helps for ``k >= r + 2``: there the difficult samples do no harm.

    Args:
        n: argument of `degrees`, as are r, n_d, alpha, beta, gamma and structure.
        k: width of the features, in r + 1..n (r + 1) - 1.
        as_stated: take Thm 3.4 as stated for doing nothing, whatever k and structure are, instead of the exact
            `eigenvalue`.

    Raises:
        ValueError: for a ``k`` out of range, and as `degrees` does.

    Example:
        >>> helpful_remedies(5000, 9, 400, 0.472, 0.191, 0.209, "matched", k=10)
        ('margin', 'removal')
    """
    graph = n, r, n_d, alpha, beta, gamma
    check_graph(*graph, structure)
    require(whole(k, r + 1, n * (r + 1) - 1), "k must be a whole number in r+1..n(r+1)-1", k=k, n=n, r=r)
    if n_d == 0:
        return ()
    untreated = eigenvalue_difficult_stated(*graph) if as_stated else eigenvalue(*graph, structure, k=k)
    clean = eigenvalue_no_difficult(*graph)
    bounds = {"margin": 1 / (1 - clean)}
    if k < (n - n_d) * (r + 1):
        bounds["removal"] = 1 / (1 - eigenvalue_removed(*graph))
    if beta > 0:
        bounds["temperature"] = temperature_bound(*graph, structure).lhs
    helpful = [name for name, bound in bounds.items() if bound < 1 / (1 - untreated)]
    return tuple(sorted(helpful, key=bounds.__getitem__))
