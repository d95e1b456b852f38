"""When Python gets our ``mmcv._ext``, and when it does not."""

import importlib
import json
import pkgutil
import subprocess
import sys

import mmcv.ops
import pytest
import torch
from mmcv.utils import collect_env
from mmengine.utils.dl_utils.misc import mmcv_full_available

import mtpd
from mtpd import mmcv_ext
from mtpd.errors import UserError


def run(*script):
    """What a fresh Python prints, as JSON, when it runs the lines of a script."""
    process = subprocess.run(
        [sys.executable, "-c", "\n".join(script)], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_import_mtpd_imports_neither_torch_nor_mmcv():
    assert (
        run(
            "import json, sys, mtpd",
            "heavy = {'torch', 'mmcv', 'numpy'}",
            "print(json.dumps(sorted(heavy & set(sys.modules))))",
        )
        == []
    )


def test_mmengine_and_mmcv_find_the_module():
    assert pkgutil.find_loader("mmcv._ext") is not None
    assert mmcv_full_available()
    extension = importlib.import_module("mmcv._ext")
    assert extension.__spec__.name == "mmcv._ext"
    assert extension.__file__ == extension.__spec__.origin


def test_the_finder_answers_for_one_name_only():
    assert mmcv_ext.Finder.find_spec("mmcv._ext") is not None
    for name in ("mmcv", "mmcv.ops", "mmcv._ext.ops", "_ext", "torch"):
        assert mmcv_ext.Finder.find_spec(name) is None


def test_the_finder_comes_last_and_once():
    importlib.reload(mtpd)
    assert sys.meta_path.count(mmcv_ext.Finder) == 1
    path_finder = importlib.machinery.PathFinder
    assert sys.meta_path.index(mmcv_ext.Finder) > sys.meta_path.index(path_finder)


def test_mmcv_may_be_imported_and_fail_before_mtpd():
    assert run(
        "import json, mmcv",
        "try:",
        "    import mmcv.ops",
        "except ModuleNotFoundError as error:",
        "    missing = error.name",
        "import mtpd",
        "from mmcv.ops import RoIAlign",
        "print(json.dumps([missing, RoIAlign.__name__]))",
    ) == ["mmcv._ext", "RoIAlign"]


def test_a_compiled_mmcv_comes_first(tmp_path):
    (tmp_path / "_ext.py").write_text("compiled = True\n")
    assert run(
        "import json, mtpd, mmcv",
        f"mmcv.__path__.append({str(tmp_path)!r})",
        "import mmcv._ext",
        "print(json.dumps([mmcv._ext.compiled, mmcv._ext.__file__]))",
    ) == [True, str(tmp_path / "_ext.py")]


def test_spawned_workers_of_a_data_loader_have_the_ops(tmp_path):
    script = tmp_path / "loading.py"
    script.write_text(
        """
import mtpd
import torch
from torch.utils.data import DataLoader, Dataset


class Kept(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        from mmcv.ops import nms

        boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8]])
        return nms(boxes, torch.tensor([0.5, 0.9]), 0.5)[1]


if __name__ == "__main__":
    loader = DataLoader(Kept(), batch_size=2, num_workers=1, multiprocessing_context="spawn")
    print([kept.tolist() for kept in loader])
"""
    )
    process = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert process.stdout == "[[[1], [1]]]\n", process.stderr


def test_an_op_without_a_substitute_fails_when_called_and_names_itself():
    upsample = mmcv.ops.CARAFE(kernel_size=5, group_size=1, scale_factor=2)
    with pytest.raises(UserError, match=r"carafe_forward.*install a compiled mmcv"):
        upsample(torch.rand(1, 4, 4, 4), torch.rand(1, 25, 8, 8))


def test_the_report_of_the_environment_names_the_substitute():
    assert "torchvision" in collect_env()["MMCV Compiler"]
