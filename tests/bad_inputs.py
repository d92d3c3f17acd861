"""Bad numbers and settings of the command line: the options, and what the one sentence says of them."""

import pytest
from commands import CONFIGS, TINY

MOST = 2**32
SPACL = ("-c", CONFIGS / "methods/spacl.yaml")
MOCO = ("--model", "lit_hardcl.MoCo")
RESNET = (
    *("--model.backbone", "lit_hardcl.models.ResNet", "--model.backbone.depth", 10, "--model.backbone.width", 8),
    *("--trainer.limit_train_batches", 2, "--data.batch_size", 32, "--trainer.log_every_n_steps", 1),
)


def each(option, sentence, *values, given=()):
    """Cases of one option, each of the values with the same sentence; ``given`` are options before it."""
    return [((*given, f"{option}={value}"), sentence) for value in values]


def at_least(option, lowest, *values):
    """Cases of a number that is too small, or none at all."""
    name = option.removeprefix("--").removeprefix("data.")
    return each(option, f"{name} must be at least {lowest}, got", *values)


def rates(kind, *rows):
    """Cases of settings of torch's optimizers or schedulers."""
    room, found = {"optimizer": "torch.optim.", "scheduler": "torch.optim.lr_scheduler."}[kind], []
    for name, settings, sentence in rows:
        given = [part for key, value in settings.items() for part in (f"--model.{kind}.{key}", value)]
        found.append(((f"--model.{kind}", name if "." in name else room + name, *given), sentence))
    return found


TRAINER = [
    *at_least("--trainer.accumulate_grad_batches", 1, 0, -1, -(2**40)),
    *at_least("--trainer.check_val_every_n_epoch", 1, 0, -1),
    *at_least("--trainer.gradient_clip_val", 0, -1, -0.001, ".nan", "-.inf"),
    *at_least("--trainer.log_every_n_steps", 0, -1, -50),
    *at_least("--trainer.min_epochs", 0, -1, -2),
    *at_least("--trainer.min_steps", 0, -1),
    *at_least("--trainer.num_sanity_val_steps", -1, -2, -5),
    *each("--trainer.max_epochs", "max_epochs must not be 0", 0),
    *each("--trainer.max_epochs", "must be a non-negative integer or -1", -2),
    *each("--trainer.max_epochs", "trainer.max_epochs must be int, got", 1.5, ".nan", "true", "ten"),
    *each("--trainer.max_steps", "max_steps must not be 0", 0),
    *each("--trainer.max_steps", "must be a non-negative integer or -1", -2),
    *each("--trainer.limit_train_batches", "must not be 0", 0),
    *each("--trainer.limit_train_batches", "must not be 0", 0.0),
    *each("--trainer.limit_train_batches", "has to be in [0.0, 1.0] or an int", -1, 1.5, ".nan"),
    *each("--trainer.limit_train_batches", "Please increase the `limit_train_batches` argument", 1e-9),
    *each("--trainer.limit_val_batches", "has to be in [0.0, 1.0] or an int", -1, -0.5, ".nan"),
    *each("--trainer.overfit_batches", "has to be in [0.0, 1.0] or an int", -1, 1.5, ".nan"),
    *each("--trainer.val_check_interval", "must not be 0", 0),
    *each("--trainer.val_check_interval", "must not be 0", 0.0),
    *each("--trainer.val_check_interval", "invalid value -1", -1),
    *each("--trainer.val_check_interval", "invalid value 1.5", 1.5),
    *each("--trainer.val_check_interval", "less than or equal to the number of", 1000),
    *each("--trainer.num_nodes", "must be a positive integer, but got 0", 0),
    *each("--trainer.num_nodes", "positive integer, but got -1", -1),
    *each("--trainer.devices", "not a valid input", 0),
    *each("--trainer.devices", "should be an int > 0", -2),
    *each("--trainer.devices", "at most 256 processes", 10**6),
    *each("--trainer.max_time", "must be above 0", "{hours: -1}"),
    *each("--trainer.max_time", "not a valid duration", "soon"),
    *each("--trainer.precision", "trainer.precision must be", "half", 7),
    *each("--trainer.accelerator", "invalid accelerator name", "abacus"),
    *each("--trainer.strategy", "invalid strategy name", "none"),
    *each("--trainer.profiler", "it can only be one of", "foo"),
    *each("--trainer.gradient_clip_algorithm", "Allowed algorithms", "foo"),
    *each("--trainer.deterministic", "trainer.deterministic must be bool or", "perhaps"),
    *each("--trainer.fast_dev_run", "It should be >= 0", -1),
    *each("--trainer.reload_dataloaders_every_n_epochs", "should be an int >= 0, got -1", -1),
    *each("--seed_everything", "seed_everything must be at least 0, got", -1, -MOST),
    *each("--seed_everything", "seed_everything must be below 2**32, got", MOST),
    *each("--seed_everything", "seed_everything must be bool or int, got", "foo", 1.5, ".nan"),
]
RATES = [
    *rates("optimizer", *(("SGD", {"lr": bad}, "lr of the optimizer must be in") for bad in (".nan", ".inf"))),
    *rates("optimizer", ("SGD", {"lr": -1}, "the optimizer refuses its settings: Invalid learning rate: -1")),
    *rates("optimizer", ("SGD", {"lr": "fast"}, "model.optimizer.lr must be float or")),
    *rates(
        "optimizer",
        *(
            ("SGD", {"lr": 0.1, "momentum": bad}, "momentum of the optimizer must be in [0, 1), got")
            for bad in (1, 1.5, ".nan", ".inf")
        ),
        *(
            ("SGD", {"lr": 0.1, "weight_decay": bad}, "weight_decay of the optimizer must be in [0, inf)")
            for bad in (".nan", ".inf")
        ),
        ("SGD", {"lr": 0.1, "momentum": -1}, "Invalid momentum value: -1"),
        ("SGD", {"lr": 0.1, "weight_decay": -1}, "Invalid weight_decay value: -1"),
        ("SGD", {"lr": 0.1, "dampening": ".nan"}, "dampening of the optimizer must be"),
        ("SGD", {"lr": 0.1, "momentum": 0, "nesterov": "true"}, "Nesterov momentum requires a momentum"),
        ("Adam", {"lr": 0.1, "betas": "[0.9,1.5]"}, "Invalid beta parameter at index 1: 1.5"),
        ("Adam", {"lr": 0.1, "betas": "[-1,0.9]"}, "Invalid beta parameter at index 0: -1"),
        ("Adam", {"lr": 0.1, "betas": "[0.9]"}, "model.optimizer.betas must be tuple with 2 elements, got"),
        ("Adam", {"lr": 0.1, "eps": -1}, "Invalid epsilon value: -1"),
        ("AdamW", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ("AdamW", {"lr": ".nan"}, "Invalid learning rate: nan"),
        ("nomod.Optimizer", {}, "model.optimizer names what cannot be imported, No module named 'nomod'"),
        ("Adams", {}, "has no attribute 'Adams'"),
    ),
    *each(
        "--model.scheduler.warmup_ratio", [(bad, "warmup_ratio must be in [0, 1), got") for bad in (-0.1, 1, 2, ".nan")]
    ),
    *each("--model.scheduler.total_steps", "total_steps must be at least 1, got", 0, -3),
    *rates(
        "scheduler",
        *(("StepLR", {"step_size": bad}, "step_size of the scheduler must be at least 1") for bad in (0, -1)),
        *(
            ("ExponentialLR", {"gamma": bad}, "gamma of the scheduler must be above 0, got")
            for bad in (0, -1, ".nan", ".inf")
        ),
        (
            "CosineAnnealingLR",
            {"T_max": 0},
            "T_max of the scheduler must be at least 1, got 0",
        ),
        ("OneCycleLR", {"max_lr": -1, "total_steps": 9}, "lr of the scheduler must be in"),
        ("OneCycleLR", {"max_lr": 1}, "You must define either total_steps OR"),
        ("LinearLR", {"start_factor": -1}, "expected to be greater than 0"),
        (
            "CosineAnnealingWarmRestarts",
            {"T_0": 0},
            "Expected positive integer T_0, but got 0",
        ),
    ),
]
METHODS = [
    *each("--model.temperature", "positive and finite, got", 0, -1, ".nan", ".inf", "-.inf"),
    *each("--model.temperature", "must be in 1e-30 ... 1e30", 1e-300, 1e-45, 1e300),
    *each("--model.temperature", "model.temperature must be float, got hot", "hot"),
    *each("--model.temperature_scale", "must be positive", 0, -0.5, ".nan"),
    *each("--model.temperature_scale", "must be in 1e-30 ... 1e30", 1e-300),
    *each("--model.margin", "margin must be finite", ".nan", "-.inf"),
    *each("--model.margin", "must be in 1e-30 ... 1e30", 1e300),
    *each("--model.pos_high", "0 <= pos_high < pos_low <= 1", ".nan", 1, ".inf", 0.22),
    *each("--model.pos_low", "0 <= pos_high < pos_low <= 1", ".nan", 0, -1, ".inf"),
    *each("--model.momentum", "[0, 1)", 1, -0.1, ".nan", given=MOCO),
    *each("--model.queue_size", "at least 0, got -1", -1, given=MOCO),
    *each("--model.positives", "at least 1, got -1", -1, given=SPACL),
    *each("--model.noise_features", "widths must be", 0, given=SPACL),
    *each("--model.screening_share", "in (0, 1]", ".nan", given=SPACL),
    *each("--model.backbone.pixels", "negative dimension -1", -1),
    *each("--model.backbone.pixels", "the numbers of an image, 1024, got 1000", 1000),
    ((*RESNET, "--model.backbone.in_channels", 3), "in_channels of the backbone must be that of the images, 1, got 3"),
    ((*RESNET, "--model.backbone.in_channels", 0), "in_channels must be at least 1, got 0"),
    ((*RESNET, "--model.backbone.depth", 11), "depth must be one of"),
    ((*MOCO, *RESNET, "--model.backbone.in_channels", 3), "must be that of the images, 1, got 3"),
    ((*SPACL, *RESNET, "--model.backbone.in_channels", 3), "must be that of the images, 1, got 3"),
]
DATA = [
    *at_least("--data.batch_size", 2, -1, -(2**40)),
    *at_least("--data.eval_batch_size", 1, 0, -1),
    *at_least("--data.num_views", 1, 0, -1),
    *at_least("--data.num_workers", 0, -1),
    *at_least("--data.seed", 0, -1),
    *each("--data.seed", "seed must be below 2**32, got", MOST, 2**70),
    *at_least("--data.image_size", 8, 0, -1, 7),
    *each("--data.num_workers", "num_workers must be at most 1024, got 1000000", 10**6),
    *each("--data.batch_size", "data.batch_size must be int, got", "many", 3.5, ".nan"),
    *each("--data.batch_size", "number of training images per process, 1437, got 1438", 1438),
    *each("--data.image_size", "in_features of the backbone's first layer must be the numbers of an image, 2304", 48),
    *each("--data.train_size", "train_size must leave images of every class", 0, -1, 1436, 10**9),
    *each("--data.mix_fraction", "mix_fraction must lie in 0 ... 1", -0.1, 1.1, ".nan", ".inf"),
    *each("--data.imbalance", "must be at least 1, got", 0, 0.5, -1, ".nan", ".inf"),
]
CALLBACKS = [
    (
        (f"--trainer.callbacks+={name}", *(f"--trainer.callbacks.{key}={value}" for key, value in given.items())),
        sentence,
    )
    for name, given, sentence in (
        ("OnlineKNN", {"k": 0}, "k must be at least 1, got 0"),
        ("OnlineKNN", {"temperature": ".nan"}, "temperature must be positive and at most 1e30, got nan"),
        ("OnlineKNN", {"bank_size": 0}, "bank_size must be at least 1, got 0"),
        ("OnlineLinearProbe", {"learning_rate": ".inf"}, "learning_rate must be positive and at most 1e30, got inf"),
        ("OnlineLinearProbe", {"learning_rate": -1}, "learning_rate must be positive and at most 1e30, got -1"),
        ("OnlineLinearProbe", {"weight_decay": -1}, "weight_decay must be positive and at most 1e30, got -1"),
        ("OnlineLinearProbe", {"every_n_steps": 0}, "every_n_steps must be at least 1, got 0"),
        ("SimilarityStatistics", {"subset_size": 3}, "subset_size must be at least 4, got 3"),
        ("SimilarityStatistics", {"hardest_share": ".nan"}, "hardest_share must be in (0, 1), got nan"),
        ("DifficultyFilter", {"score": "pairs", "at_epochs": "[1]", "share": 1}, "share must be in [0, 1)"),
        ("DifficultyFilter", {"score": "pairs", "at_epochs": "[0]", "share": 0.1}, "ascending, from 1 on"),
        ("ModelCheckpoint", {"save_top_k": -5}, "save_top_k=-5"),
        ("EarlyStopping", {"monitor": "train_loss", "mode": "up"}, "`mode` can be min, max, got up"),
        ("Nothing", {}, "trainer.callbacks must be a known class or the import path of one, got Nothing"),
        ("nomod.Nothing", {}, "trainer.callbacks names what cannot be imported, No module named 'nomod'"),
    )
]
NAMES = [
    (("--trainer.max_epo", 2), "unrecognized arguments: --trainer.max_epo 2; did you mean --trainer.max_epochs?"),
    (("--trainer.nonsense", 2), "unrecognized arguments: --trainer.nonsense"),
    (("--model", "nomod.Mine"), "model names what cannot be imported, No module named 'nomod', got nomod.Mine"),
    (("--model", "nets.Missing"), "model names what cannot be imported, module 'nets' has no attribute 'Missing'"),
    (("--model", "torch.nn.Linear"), "model must be subclass of LightningModule, got torch.nn.Linear"),
    (("--model", "SimSiam"), "model must be a known class or the import path of one, got SimSiam"),
    (("--model.backbone", "nets.Missing"), "model.backbone names what cannot be imported, module 'nets' has no"),
    (("--model.criterion", "DCLLoss"), "model has no option criterion, got DCLLoss"),
    (("--data", "nothing"), "data must be a known class or the import path of one, got nothing"),
]
COMMANDS = [
    *(
        (("compare", "-c", CONFIGS / "compare/quick.yaml", option, value), sentence)
        for option, value, sentence in (
            ("--seeds", "[-1]", "seeds must be different numbers from 0 on"),
            ("--seeds", "[]", "at least one, got []"),
            ("--seeds", f"[{MOST}]", "seeds must be below 2**32, got 4294967296"),
            ("--seeds", "[1.5]", "seeds must be int, got"),
            ("--jobs", 0, "jobs must be at least 1, got 0"),
        )
    ),
    (("fitt", *TINY), "command must be one of fit, validate, test, compare, evaluate"),
    (("fitt", *TINY), "got 'fitt': did you mean fit?"),
    (("evaluat", "x.ckpt"), "did you mean evaluate?"),
    (("train",), "command must be one of"),
    (("profile", *TINY, "--ckpt_path", "x.ckpt"), "--ckpt_path is of no use to this command, got x.ckpt"),
    (("profile", *TINY, "--yardsticks=true"), "--yardsticks is of no use to this command, got true"),
    (("predict", *TINY, "--yardsticks", "true"), "--yardsticks is of no use to this command, got true"),
    (("validate", *TINY, "--yardsticks", "true"), "--yardsticks is of no use to this command, got true"),
    (("profile", *TINY, "--steps", 0), "steps must be at least 1"),
    (("profile", *TINY, "--steps", "x"), "steps must be int, got x"),
    (("profile", *TINY, "--warmup", -1), "warmup not negative, got 30 and -1"),
    *(
        (("theory", command, *options), sentence)
        for command, options, sentence in (
            ("remedies", ("--n", 0), "n, the samples of a class, must be a whole number >= 1"),
            ("remedies", ("--n", 10**400), "n, the samples of a class, must be a whole number >= 1"),
            ("remedies", ("--n", 1.5), "n must be int, got 1.5"),
            ("remedies", ("--r", -1), "r, the number of classes less one"),
            ("remedies", ("--n_d", -1), "n_d, the difficult samples of a class"),
            ("remedies", ("--alpha", ".nan"), "0 <= beta < gamma < alpha < 1"),
            ("remedies", ("--gamma", 1.5), "0 <= beta < gamma < alpha < 1"),
            ("spectrum", ("--beta", -0.1), "0 <= beta < gamma < alpha < 1"),
            ("spectrum", ("--k", -1), "k, the width of the features, must be at least 1"),
            ("spectrum", ("--k", 10**9), "k must be a whole number in 0..n(r+1)-1"),
            ("bounds", ("--k", 0), "k must be a whole number in r+1..n(r+1)-1"),
            ("bounds", ("--delta", 2), "delta must be in 0..1"),
            ("bounds", ("--delta", ".nan"), "delta must be in 0..1"),
            ("collapse", ("--positives", 0), "positives must be at least 1, got 0"),
            ("collapse", ("--negatives", 0), "at least one negative is needed"),
            ("collapse", ("--dim", 0), "dim must be a whole number >= 1"),
            ("collapse", ("--tau", 0), "tau must be positive and finite"),
            ("collapse", ("--tau", 1e-300), "tau must be in 1e-30..1e30"),
            ("collapse", ("--tau", ".nan"), "tau must be positive and finite"),
            ("collapse", ("--tolerance", 0), "tolerance is an angle in degrees"),
            ("collapse", ("--tolerance", ".nan"), "tolerance is an angle in degrees"),
            ("collapse", ("--seed", -1), "seed must be at least 0, got -1"),
            ("remedy", (), "invalid choice: 'remedy'"),
        )
    ),
]
FIT = [*TRAINER, *RATES, *METHODS, *DATA, *CALLBACKS, *NAMES]
ALL = [(("fit", *TINY, *options), sentence) for options, sentence in FIT] + COMMANDS
SHORT = [(" ".join(map(str, options)), given) for (options, _), given in zip([*FIT, *COMMANDS], ALL, strict=True)]
CASES = [  # each takes half a second: a fifth of them at every turn, all with the slow ones
    pytest.param(*given, id=f"{place} {name[-60:]}", marks=[pytest.mark.slow] if place % 5 else [])
    for place, (name, given) in enumerate(SHORT)
]
