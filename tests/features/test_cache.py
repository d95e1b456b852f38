"""A cache knows what it was made from, and is not used when any of that changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtpd.errors import UserError
from mtpd.features.cache import CacheIdentity, load_cache, save_cache

IDENTITY = CacheIdentity("weights", "data", (1, 2), points=3, seed=4)
FEATURES = {
    stride: np.random.default_rng(stride).random((2, 3, 5)).astype(np.float32)
    for stride in (16, 8, 128)
}


def test_round_trip_is_exact_and_finest_level_first(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    save_cache(path, FEATURES, IDENTITY)
    loaded = load_cache(path, IDENTITY)
    assert list(loaded) == [8, 16, 128]
    assert all(np.array_equal(loaded[stride], FEATURES[stride]) for stride in FEATURES)


def test_an_array_in_another_memory_order_is_written_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    transposed = {8: np.asfortranarray(FEATURES[8])}
    assert not transposed[8].flags.c_contiguous
    save_cache(path, transposed, IDENTITY)
    assert np.array_equal(load_cache(path, IDENTITY)[8], FEATURES[8])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weights_sha256", "x"),
        ("data_sha256", "x"),
        ("image_ids", (1, 3)),
        ("points", 9),
        ("seed", 9),
    ],
)
def test_a_change_of_its_origin_is_one_line(field: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    save_cache(path, FEATURES, IDENTITY)
    with pytest.raises(UserError, match=f"made from other {field}; delete"):
        load_cache(path, replace(IDENTITY, **{field: value}))


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all"])
def test_a_broken_cache_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="not a readable feature cache"):
        load_cache(path, IDENTITY)
