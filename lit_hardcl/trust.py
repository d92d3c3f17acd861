"""What a file may name that others have written: classes of trusted packages, each where its kind belongs."""

import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pydoc import ErrorDuringImport, locate
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch
import yaml
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lit_hardcl.errors import Refusal

PACKAGES = ("lit_hardcl", "torch.nn", "torch.optim", "torchvision", "timm")  # torch.fx or torch.hub run texts, files
KINDS = (nn.Module, Optimizer, LRScheduler)  # what may stand where nothing is said
OPTIMIZERS = {Optimizer, LRScheduler}
IMPORTED = ("dataset",)  # arguments whose text is imported by this library itself
SPELT = ("class_path", "init_args", "dict_kwargs")
LOADED = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay")  # files that some versions of timm unpickle
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def check_named(config: Any, kind: type, name: str, trusted: Iterable[str] = ()) -> None:
    """Refuse, before it is imported, what a configuration from elsewhere names outside the trusted packages.

    Args:
        config: ``class_path`` with ``init_args``, at any depth.
        kind: class that it must be a subclass of; arguments are of the kind that their annotation says.
        name: name of the part, for messages.
        trusted: packages or modules trusted besides this library, torch.nn, torch.optim, torchvision and timm.

    Raises:
        Refusal: naming what is of no trusted package, no class, or of another kind.
    """
    _check(config, (kind,), name, (*PACKAGES, *trusted))


def check_arguments(made: type, arguments: Any, name: str, trusted: Iterable[str] = ()) -> None:
    """`check_named` for the arguments of a class that is known."""
    _check_arguments(made, arguments, name, (*PACKAGES, *trusted))


def own_package(cls: type, trusted: Iterable[str]) -> tuple[str, ...]:
    """The packages that a caller trusts who asks this class to load: those named, and the class's own."""
    package = cls.__module__.split(".")[0]
    return (*trusted, *([] if package == "lit_hardcl" else [package]))


def check_optimizers(config: Any, kind: type, name: str) -> None:
    """Refuse a function where a configuration of one's own must name an optimizer's or a scheduler's class.

    Raises:
        Refusal: naming the function.
    """
    _check(config, (kind,), name, None)


class Trusting:
    """What loads a data module's options: from a checkpoint that may be a stranger's."""

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: Any,
        map_location: Any = None,
        hparams_file: Any = None,
        weights_only: bool | None = None,
        trusted: Iterable[str] = (),
        **settings: Any,
    ) -> Any:
        """As Lightning's, of a file; nothing is imported but from packages that are ``trusted``.

        Raises:
            Refusal: naming what the checkpoint would have imported, or if there is an ``hparams_file``.
        """
        if (weights_only := weights_only is not False) and hparams_file is not None:
            raise Refusal(
                f"a data module takes its options from the checkpoint or by name, got hparams_file={hparams_file!r}"
            )
        if weights_only:
            options = torch.load(checkpoint_path, "cpu", weights_only=True).get("datamodule_hyper_parameters")
            check_arguments(cls, options, "the checkpoint's data", own_package(cls, trusted))
            if hasattr(checkpoint_path, "seek"):
                checkpoint_path.seek(0)
        return super().load_from_checkpoint(checkpoint_path, map_location, hparams_file, weights_only, **settings)  # type: ignore[misc]


def _check(value: Any, kinds: tuple[type, ...], name: str, packages: tuple[str, ...] | None) -> None:
    if isinstance(value, str) and packages is not None:
        _check_text(value, kinds, name)
    if isinstance(value, str) and DOTTED.fullmatch(value) and (set(kinds) & OPTIMIZERS if packages is None else kinds):
        value = {"class_path": value}  # the parser's short form
    if isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            _check(part, kinds, name, packages)
    elif isinstance(value, dict) and isinstance(path := value.get("class_path"), str):
        made = _named(path, kinds or KINDS, name, packages)
        if packages is not None and (more := value.keys() - SPELT):
            raise Refusal(f"{name} must be spelt with {', '.join(SPELT)} alone, got {', '.join(map(repr, more))} too")
        for arguments in (value.get("init_args"), value.get("dict_kwargs")):
            _check_arguments(made, arguments, name, packages)
    elif isinstance(value, dict):
        for key, part in value.items():
            if packages is not None and "class_path" in str(key):
                raise Refusal(f"{name} must be spelt with {', '.join(SPELT)}, got {key!r}: {part!r}")
            _check(part, kinds, f"{name}.{key}", packages)


def _check_arguments(made: Any, arguments: Any, name: str, packages: tuple[str, ...] | None) -> None:
    hints = _hints(made)
    if packages is not None and arguments and not isinstance(arguments, dict):
        raise Refusal(f"{name} must have its arguments by name, got {arguments!r}")
    for key, value in (arguments or {}).items() if isinstance(arguments, dict) else ():
        if packages is not None and key in IMPORTED and isinstance(value, str) and "." in value:
            _check_package(value, f"{name}.{key}", _named_by_caller(packages))
        if packages is not None and "." in str(key):  # the parser would make a nest of it
            raise Refusal(f"{name} must have its arguments by name, got {key!r}: {value!r}")
        if packages is not None and key in LOADED and value and not _is_of(made.__module__, _named_by_caller(packages)):
            package = made.__module__.split(".")[0]
            raise Refusal(f"{name} must name no file to load, got {key}={value!r}: trust it by --trust {package}")
        _check(value, _kinds(hints.get(key, KINDS[0])), f"{name}.{key}", packages)


def _named(path: str, kinds: tuple[type, ...], name: str, packages: tuple[str, ...] | None) -> Any:
    """What the path names, once it is known to be harmless."""
    if packages is not None:
        _check_package(path, name, packages)
    try:
        with _not_from_here(packages is not None and not _is_of(path, _named_by_caller(packages))):
            found = locate(path)
    except ErrorDuringImport as error:
        raise Refusal(f"{name} names {path}, whose import fails: {error.value!r}") from error
    module, _, last = path.rpartition(".")
    found = getattr(sys.modules[module], last, None) if module in sys.modules else found  # as the parser finds it
    if packages is None and (found is None or not set(kinds) & OPTIMIZERS):
        return found  # the parser judges it
    made = found if isinstance(found, type) else _hints(found).get("return")
    is_function = not isinstance(found, type) and (packages is None or not issubclass(nn.Module, kinds))
    elsewhere = packages is not None and not _is_of(str(getattr(found, "__module__", "")), packages)
    if is_function or elsewhere or not (isinstance(made, type) and issubclass(made, kinds)):
        place = f", which is of {found.__module__}" if elsewhere and found is not None else ""
        raise Refusal(f"{name} must name a class of {' or '.join(k.__name__ for k in kinds)}, got {path}{place}")
    return found


def _check_package(path: str, name: str, packages: tuple[str, ...]) -> None:
    if not _is_of(path, packages):
        package, known = path.strip(".").split(".")[0], ", ".join(dict.fromkeys(packages)) or "none so far"
        raise Refusal(
            f"{name} must name classes of a trusted package, {known}, got {path}: if you know who wrote it, trust it "
            f"by --trust {package}, or trusted=({package!r},)"
        )


def _named_by_caller(packages: tuple[str, ...]) -> tuple[str, ...]:
    return packages[len(PACKAGES) :]


def _is_of(path: str, packages: tuple[str, ...]) -> bool:
    return any(f"{path}.".startswith(f"{package}.") for package in packages)


def _check_text(text: str, kinds: tuple[type, ...], name: str) -> None:
    """Refuse a text that the parser would read as YAML or, where a class may stand, as the name of a file with it."""
    try:
        event = next(islice(yaml.parse(text, yaml.BaseLoader), 2, None), None)  # after those of stream and document
    except yaml.YAMLError:
        event = None
    path = os.path.expanduser(text)
    is_file = kinds and os.path.exists(path) and not os.path.isdir(path)
    if isinstance(event, yaml.CollectionStartEvent) or text.strip()[:1] in ("[", "{") or is_file:
        raise Refusal(
            f"{name} must say by class_path what it is made of, not as YAML in a text or in a file, got {text!r}"
        )


@contextmanager
def _not_from_here(leave_out: bool) -> Iterator[None]:
    """Import nothing from the current folder, where a file called as a trusted package or one it needs may lie."""
    before = sys.path[:]
    sys.path[:] = [place for place in before if not leave_out or os.path.realpath(place) != os.path.realpath("")]
    try:
        yield
    finally:
        sys.path[:] = before


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
    if origin not in (None, Callable, type, Literal):  # unions and whatever holds others
        return tuple({kind: None for part in get_args(hint) for kind in _kinds(part)})
    if origin is Callable or hint is Callable:
        returned = get_args(hint)[1] if get_args(hint) else Any
        return _kinds(returned) or KINDS
    if origin is type:
        return _kinds(get_args(hint)[0]) or KINDS
    if hint is Any:
        return ()
    if isinstance(hint, TypeVar):
        return KINDS
    plain = (str, int, float, bool, bytes, types.NoneType)
    if origin is Literal or hint in plain or not isinstance(hint, type) or hint.__module__ == "pathlib":
        return ()
    return (hint,)
