"""One stage of a chain: the previous stage's student learns from one teacher."""

from __future__ import annotations

from mtpd.chains import Chain
from mtpd.steps.configs import stage_config
from mtpd.steps.context import Context


def train_stage(context: Context, method: str, chain: Chain) -> None:
    """Train the last stage of ``chain`` and write the student alone."""
    recipe, config = context.recipes.stage(method, chain), stage_config(context, method, chain)
    context.train(config, recipe.task, context.layout.stage(method, str(chain)))
