"""What a file may name that others have written: classes of trusted packages, each where its kind belongs."""

import re
import types
from collections.abc import Callable, Iterable
from pydoc import ErrorDuringImport, locate
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.errors import Refusal

PACKAGES = ("lit_hardcl", "torch", "torchvision", "timm", "lightning")
KINDS = (nn.Module, Optimizer, LRScheduler)  # what may stand where nothing is said
OPTIMIZERS = {Optimizer, LRScheduler}
IMPORTED = ("dataset",)  # arguments whose text is imported by this library itself
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def check_named(config: Any, kind: type, name: str, trusted: Iterable[str] = ()) -> None:
    """Refuse, before it is imported, what a configuration from elsewhere names outside the trusted packages.

    Args:
        config: ``class_path`` with ``init_args``, at any depth.
        kind: class that it must be a subclass of; arguments are of the kind that their annotation says.
        name: name of the part, for messages.
        trusted: packages or modules trusted besides this library, torch, torchvision, timm and lightning.

    Raises:
        Refusal: naming what is of no trusted package, no class, or of another kind.
    """
    _check(config, (kind,), name, tuple(dict.fromkeys((*PACKAGES, *trusted))))


def check_arguments(made: type, arguments: Any, name: str, trusted: Iterable[str] = ()) -> None:
    """`check_named` for the arguments of a class that is known."""
    _check_arguments(made, arguments, name, tuple(dict.fromkeys((*PACKAGES, *trusted))))


def check_optimizers(config: Any, kind: type, name: str) -> None:
    """Refuse a function where a configuration of one's own must name an optimizer's or a scheduler's class.

    Raises:
        Refusal: naming the function.
    """
    _check(config, (kind,), name, None)


def _check(value: Any, kinds: tuple[type, ...], name: str, packages: tuple[str, ...] | None) -> None:
    if isinstance(value, str) and DOTTED.fullmatch(value) and (set(kinds) & OPTIMIZERS if packages is None else kinds):
        value = {"class_path": value}  # the parser's short form
    if isinstance(value, list):
        for part in value:
            _check(part, kinds, name, packages)
    elif isinstance(value, dict) and isinstance(path := value.get("class_path"), str):
        made = _named(path, kinds or KINDS, name, packages)
        for arguments in (value.get("init_args"), value.get("dict_kwargs")):
            _check_arguments(made, arguments, name, packages)
    elif isinstance(value, dict):
        for key, part in value.items():
            _check(part, kinds, f"{name}.{key}", packages)


def _check_arguments(made: Any, arguments: Any, name: str, packages: tuple[str, ...] | None) -> None:
    hints = _hints(made)
    for key, value in (arguments or {}).items() if isinstance(arguments, dict) else ():
        if packages is not None and key in IMPORTED and isinstance(value, str) and DOTTED.fullmatch(value):
            _check_package(value, f"{name}.{key}", packages)
        _check(value, _kinds(hints.get(key, KINDS[0])), f"{name}.{key}", packages)


def _named(path: str, kinds: tuple[type, ...], name: str, packages: tuple[str, ...] | None) -> Any:
    """What the path names, once it is known to be harmless."""
    if packages is not None:
        _check_package(path, name, packages)
    try:
        found = locate(path)
    except ErrorDuringImport as error:
        raise Refusal(f"{name} names {path}, whose import fails: {error.value!r}") from error
    if packages is None and (found is None or not set(kinds) & OPTIMIZERS):
        return found  # the parser judges it
    made = found if isinstance(found, type) else _hints(found).get("return")
    is_function = not isinstance(found, type) and (packages is None or not issubclass(nn.Module, kinds))
    elsewhere = packages is not None and str(getattr(found, "__module__", "")).split(".")[0] not in packages
    if is_function or elsewhere or not (isinstance(made, type) and issubclass(made, kinds)):
        raise Refusal(f"{name} must name a class of {' or '.join(k.__name__ for k in kinds)}, got {path}")
    return found


def _check_package(path: str, name: str, packages: tuple[str, ...]) -> None:
    if (package := path.split(".")[0]) not in packages:
        raise Refusal(
            f"{name} must name classes of a trusted package, {', '.join(packages)}, got {path}: if you know who wrote "
            f"it, trust it by --trust {package}, or trusted=({package!r},)"
        )


def _hints(made: Any) -> dict[str, Any]:
    """Annotations of the arguments, a class's with those of the classes it may hand them on to."""
    hints: dict[str, Any] = {}
    for each in reversed(made.__mro__) if isinstance(made, type) else (made,):
        function = each.__dict__.get("__init__") if isinstance(made, type) else each
        if isinstance(function, types.FunctionType):
            try:
                hints |= get_type_hints(function)
            except (NameError, TypeError):  # names known to type checkers only
                continue
    return hints


def _kinds(hint: Any) -> tuple[type, ...]:
    """Classes of which an argument may be built; none of a text, a number or a path."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType, list, tuple, dict, set):
        return tuple({kind: None for part in get_args(hint) for kind in _kinds(part)})
    if origin is Callable or hint is Callable:
        returned = get_args(hint)[1] if get_args(hint) else Any
        return _kinds(returned) or KINDS
    if origin is type:
        return _kinds(get_args(hint)[0]) or KINDS
    if hint is Any:
        return ()
    plain = (str, int, float, bool, bytes, types.NoneType)
    if origin is Literal or hint in plain or not isinstance(hint, type) or hint.__module__ == "pathlib":
        return ()
    return (hint,)
