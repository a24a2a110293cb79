"""The settings of TRL that make it fastest, whatever the case; what each case needs is added to them."""

from __future__ import annotations

from typing import Any

import torch
from trl import SFTConfig

FASTEST: dict[str, Any] = {
    "gradient_checkpointing": False,  # TRL's default, True, trades time for memory
    "train_sampling_strategy": "group_by_length",  # little padding
    "optim": "adamw_torch_fused",
    "max_length": None,  # nothing here is too long, and cutting is one more pass over the data
    "eval_strategy": "no",
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}


def configuration(folder: str, **settings: Any) -> SFTConfig:
    """An `SFTConfig` with what is best everywhere, what the device allows, and what the case needs."""
    on_gpu = torch.cuda.is_available()
    device = {"bf16": on_gpu, "use_cpu": not on_gpu, "dataloader_pin_memory": on_gpu}
    return SFTConfig(folder, **{**FASTEST, **device, **settings})
