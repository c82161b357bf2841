"""Which files of the raw-data folder belong to which data set, and in which order. Opens none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mission_pipeline.contracts.inputs import DATA_SETS, InputDataSet
from mission_pipeline.errors import InputFault

ARRAY_SUFFIXES = (".json",)
LINES_SUFFIXES = (".jsonl", ".ndjson")
GZIP_SUFFIX = ".gz"
ENDINGS = tuple(form + zipped for form in (*ARRAY_SUFFIXES, *LINES_SUFFIXES) for zipped in ("", GZIP_SUFFIX))
SILENTLY_IGNORED = frozenset({"readme.md"})
MISSION_INPUTS = "mission_inputs"
"""The folder of what missions are run on when nothing else is given: no data set, and not worth a note."""


@dataclass(frozen=True)
class RawFile:
    """One file of a data set.

    ``name`` is its path within the raw-data folder, with slashes. ``order`` counts from 1; a later file wins.
    """

    data_set: InputDataSet
    name: str
    path: Path
    order: int

    @property
    def is_gzipped(self) -> bool:
        """Whether the content is compressed; the name decides."""
        return self.name.lower().endswith(GZIP_SUFFIX)

    @property
    def has_lines(self) -> bool:
        """Whether it holds one object a line, rather than one array."""
        return self.name.lower().removesuffix(GZIP_SUFFIX).endswith(LINES_SUFFIXES)


@dataclass(frozen=True)
class FoundFiles:
    """The files of every data set, in their order, and notes about what was left aside."""

    files: tuple[RawFile, ...]
    notes: tuple[str, ...]

    def of(self, data_set: InputDataSet) -> tuple[RawFile, ...]:
        """Return the files of one data set."""
        return tuple(file for file in self.files if file.data_set == data_set)


def find_raw_files(raw_data: Path, data_sets: tuple[InputDataSet, ...] = DATA_SETS) -> FoundFiles:
    """Return the files of the data sets, ``<name>.*`` before the folder ``<name>/``, then by relative path.

    Args:
        raw_data: the folder.
        data_sets: those looked for; files of others are passed over.

    Raises:
        InputFault: the folder is missing or empty, a required data set has no file, or a file cannot be followed.

    """
    entries = _entries_of_root(raw_data)
    search = _Search(raw_data.resolve())
    files = []
    for data_set in data_sets:
        paths = sorted(entry for entry in entries if _is_file_of(data_set.name, entry.name))
        found = [search.file(path) for path in paths]
        folder = raw_data / data_set.name
        if folder in entries and folder.is_dir():
            found += sorted(search.folder(folder, ()), key=lambda path: path.relative_to(raw_data).as_posix())
        files += [
            RawFile(data_set, path.relative_to(raw_data).as_posix(), path, order)
            for order, path in enumerate(found, start=1)
        ]
    _require(raw_data, data_sets, {file.data_set.name for file in files})
    known = {data_set.name for data_set in DATA_SETS}
    strangers = [entry for entry in entries if not _is_known(entry, known)]
    notes = [
        *(f"{path.relative_to(raw_data).as_posix()} is no file of a data set and was ignored."
          for path in (*strangers, *search.ignored)),
        *(f"No {data_set.name} were given." for data_set in data_sets
          if not data_set.is_required and all(file.data_set != data_set for file in files)),
    ]  # fmt: skip
    return FoundFiles(tuple(files), tuple(notes))


def _entries_of_root(raw_data: Path) -> list[Path]:
    if not raw_data.is_dir():
        what = "is a file, not a folder" if raw_data.exists() else "does not exist"
        raise InputFault(f"The raw-data folder {raw_data} {what}. Name the right folder with --raw-data.")
    entries = _listed(raw_data, str(raw_data))
    if not entries:
        raise InputFault(
            f"The raw-data folder {raw_data} is empty. Put the data sets there, such as mission_runs.json, "
            "or name another folder with --raw-data."
        )
    return entries


def _listed(folder: Path, name: str) -> list[Path]:
    """Return what a folder holds, by name, without what nobody means to be data."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputFault(f"The folder {name} cannot be read ({error.strerror}). Make it readable.") from error
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in SILENTLY_IGNORED]


def _is_file_of(data_set_name: str, file_name: str) -> bool:
    return file_name.startswith(data_set_name) and file_name[len(data_set_name) :].lower() in ENDINGS


def _is_known(entry: Path, known: set[str]) -> bool:
    if entry.is_dir():
        return entry.name in known or entry.name == MISSION_INPUTS
    return any(_is_file_of(name, entry.name) for name in known)


def _require(raw_data: Path, data_sets: tuple[InputDataSet, ...], given: set[str]) -> None:
    missing = [data_set.name for data_set in data_sets if data_set.is_required and data_set.name not in given]
    if missing:
        first = missing[0]
        raise InputFault(
            f"The raw-data folder {raw_data} has no {', no '.join(missing)}. Looked for {first}.json, {first}.jsonl, "
            f"{first}.ndjson (each also with .gz) and for such files in the folder {first}/. Add what is missing, "
            "or name another folder with --raw-data."
        )


class _Search:
    """Walks data-set folders; keeps to the raw-data folder whatever links say."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.ignored: list[Path] = []

    def file(self, path: Path) -> Path:
        """Return the path after making sure that it is a file within the folder."""
        resolved = self._within(path)
        if not resolved.is_file():
            raise InputFault(f"{path} is not a regular file. Put a file there or remove it.")
        return path

    def folder(self, folder: Path, above: tuple[Path, ...]) -> list[Path]:
        """Return the data files below a folder, at any depth."""
        resolved = self._within(folder)
        if resolved in above:
            raise InputFault(f"{folder} is a link to a folder that it lies in. Remove it.")
        found = []
        for entry in _listed(folder, str(folder)):
            self._within(entry)
            if entry.is_dir():
                found += self.folder(entry, (*above, resolved))
            elif entry.name.lower().endswith(ENDINGS):
                found.append(self.file(entry))
            else:
                self.ignored.append(entry)
        return found

    def _within(self, path: Path) -> Path:
        try:
            resolved = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise InputFault(f"{path} is a link that leads nowhere. Mend or remove it.") from error
        if not resolved.is_relative_to(self._root):
            raise InputFault(
                f"{path} is a link that leaves the raw-data folder, to {resolved}. Put the file itself there instead."
            )
        return resolved
