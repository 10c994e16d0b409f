"""Files over a store of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from antiphon.config import FilesConfig, StorageConfig
from antiphon.files.blobs import DiskBlobs
from antiphon.files.contents import Contents
from antiphon.files.service import Files
from antiphon.files.uploads import Uploads
from antiphon.storage import Stores, open_store


class House(msgspec.Struct):
    """All that there is of files, over one folder and one database."""

    folder: Path
    store: Stores
    contents: Contents
    files: Files
    uploads: Uploads
    files_config: FilesConfig

    def blobs(self) -> list[str]:
        """Every content on the disk, as ``OWNER/SHA256``."""
        return sorted(f"{path.parts[-3]}/{path.name}" for path in self.folder.glob("of-*/[0-9a-f][0-9a-f]/*"))

    def litter(self) -> list[Path]:
        """What is left of what was not brought to its end."""
        return [*self.folder.glob("tmp/*"), *self.folder.glob("of-*/open/*")]


def house_of(folder: Path, store: Stores, config: FilesConfig) -> House:
    """Files in this folder, as one more server on it would have them."""
    contents = Contents(DiskBlobs(folder), store.files)
    files, uploads = Files(store.files, contents, config), Uploads(store.uploads, contents, config)
    return House(folder, store, contents, files, uploads, config)


@pytest.fixture
async def house(tmp_path: Path, anyio_backend: str) -> AsyncIterator[House]:
    """Files, of up to 4 MiB, and uploads of up to 8."""
    store = await open_store(StorageConfig(data_dir=str(tmp_path)))
    yield house_of(tmp_path / "files", store, FilesConfig(max_file_bytes=4 << 20, max_upload_bytes=8 << 20))
    await store.close()
