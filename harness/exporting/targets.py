"""What runs can be exported to. It lies apart, so that the help of a command knows it without what writes."""

from typing import Literal, get_args

Target = Literal["parquet", "csv", "wandb", "mlflow", "tensorboard"]

TARGETS: tuple[Target, ...] = get_args(Target)
