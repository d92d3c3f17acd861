"""The data sets by name; each file has a reader, the entry and the recipe of random views."""

from inspect import signature
from pydoc import ErrorDuringImport, locate

from lit_hardcl.data.entry import DataSet
from lit_hardcl.data.sets import cifar10, cifar100, digits, fashion_mnist, image_folder, materials, stl10, tiny_imagenet
from lit_hardcl.errors import Refusal

DATASETS: dict[str, DataSet] = {
    "digits": digits.SET,
    "fashion_mnist": fashion_mnist.SET,
    "cifar10": cifar10.SET,
    "cifar100": cifar100.SET,
    "materials": materials.SET,
    "stl10": stl10.SET,
    "tiny_imagenet": tiny_imagenet.SET,
    "image_folder": image_folder.SET,
}


def data_set(name: str) -> DataSet:
    """Return the entry of this name, or the one at this import path.

    Args:
        name: name in `DATASETS`, or an import path such as ``mine.SET``: a `DataSet`, or what gives one when it is
            called.

    Raises:
        Refusal: listing the known names.
    """
    if name in DATASETS:
        return DATASETS[name]
    known = f"dataset must be one of {', '.join(sorted(DATASETS))}"
    try:
        found = locate(name) if "." in name else None
    except ErrorDuringImport as error:
        raise Refusal(f"{known}, or an import path, got {name!r}, whose import fails: {error.value!r}") from error
    if found is None:
        raise Refusal(f"{known}, got {name!r}: one of your own is given by its import path, such as mine.SET")
    if callable(found):
        if needed := [part.name for part in signature(found).parameters.values() if part.default is part.empty]:
            raise Refusal(f"{known}, or the import path of a DataSet, got {name!r}, which needs {', '.join(needed)}")
        found = found()
    if not isinstance(found, DataSet):
        raise Refusal(f"{known}, or the import path of a DataSet, got {name!r}, which is a {type(found).__name__}")
    return found
