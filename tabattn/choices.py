"""The words that arguments and options may be, where the command line can read them without importing anything else."""

from typing import Literal

EncoderKind = Literal["class", "bert", "roberta", "gpt", "xlnet", "t5"]
Method = Literal["contribution", "swap", "conditional", "shapley", "gradient", "norm", "mean", "rollout"]
TextMethod = Literal["mean", "rollout", "gradient"]
Pretrain = Literal["none", "auto"]
RegressionLoss = Literal["squared", "squared_log", "absolute", "poisson", "pinball"]
Task = Literal["regression", "classification"]
TaskChoice = Literal["auto", "regression", "classification"]
Censored = Literal["limit", "missing"]
FdrControl = Literal["bh", "by"]
Language = Literal["en", "ko"]

DEFAULT_METHOD: Method = "contribution"
