"""What every run of MMEngine needs beside model, data and schedule: seed, hooks, logging."""

from __future__ import annotations

from mmengine.config import Config

from mtpd.layout import ModelFolder


def runtime_config(config: Config, folder: ModelFolder, seed: int) -> None:
    """Set what every run needs: scope, seed, logging, no checkpoints but our own."""
    config.default_scope = "mmdet"
    config.work_dir = str(folder.path / "runs")
    # What is drawn in a training step, such as MGD's masks, differs between processes. What must be
    # the same has generators of its own, or is handed over by the first.
    config.randomness = {"seed": seed, "diff_rank_seed": True}
    config.env_cfg = {
        "cudnn_benchmark": False,
        "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
        "dist_cfg": {"backend": "nccl"},
    }
    config.default_hooks = {
        "logger": {"type": "LoggerHook", "interval": 50},
        "checkpoint": None,
        "sampler_seed": {"type": "DistSamplerSeedHook"},
    }
    own = [f"mtpd.detectors.{module}" for module in ("hooks", "loading", "resume", "stopping")]
    own.append("mtpd.evaluation.validation")
    imports = [*config.get("custom_imports", {}).get("imports", []), *own]
    config.custom_imports = {"imports": imports, "allow_failed_imports": False}
    config.custom_hooks = [
        *config.get("custom_hooks", []),
        {"type": "HistoryHook", "path": str(folder.history)},
        {"type": "DetectorWeightsHook", "path": str(folder.weights)},
    ]
    for loader in (config.train_dataloader, config.val_dataloader):
        if loader.num_workers > 0:
            loader.worker_init_fn = {"type": "ignore_stop_signals"}
    config.vis_backends = []
    config.visualizer = {"type": "DetLocalVisualizer", "vis_backends": []}
    config.log_processor = {"type": "LogProcessor", "window_size": 50, "by_epoch": True}
    config.load_from, config.resume = None, False
