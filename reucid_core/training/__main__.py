"""Command line: ``python -m reucid_core.training {fit,evaluate,ief,micrograph}``."""

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from reucid_core.classifier import BUNDLED
from reucid_core.training.card import model_card, readable
from reucid_core.training.crystals import CRYSTALS
from reucid_core.training.dataset import Example, draw_recipes, make_examples, split
from reucid_core.training.evaluate import TRAINING_SHARE, leave_one_out, summary, table
from reucid_core.training.fit import Epoch, FitOptions, fit, write
from reucid_core.training.ief_table import cases_of
from reucid_core.training.ief_table import table as ief_table
from reucid_core.training.micrograph import write_demonstration

DEMO = Path("app") / "demo"
EACH, INVENTED = 40, 240
PAPER_CRYSTALS = ("Si[110]", "SrTiO3[100]", "graphene", "BaNdTiO[001]")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the commands."""
    options = _parser().parse_args(arguments)
    options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reucid_core.training",
        description="Make the classifier of eigenpatches, measure it, and simulate micrographs.",
    )
    commands = parser.add_subparsers(required=True, metavar="{fit,evaluate,ief,micrograph}")

    common = argparse.ArgumentParser(add_help=False)
    defaults = FitOptions()
    add = common.add_argument
    add("--each", type=int, default=EACH, help="micrographs of each known crystal")
    add("--invented", type=int, default=INVENTED, help="micrographs of crystals invented at random")
    add("--epochs", type=int, default=defaults.epochs, help="at most")
    add("--labels", choices=("image", "patch"), default=defaults.labels, help="oracle to learn")
    add("--seed", type=int, default=defaults.seed, help="of all randomness")
    add("--threads", type=int, default=1, help="the weights repeat for the same number only")

    def command(name: str, run: Any, description: str, **kwargs: Any) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(
            name,
            help=description,
            description=description,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            **kwargs,
        )
        added.set_defaults(run=run)
        return added

    fitting = command("fit", _fit, "train the weights file on all crystals", parents=[common])
    fitting.add_argument("--output", type=Path, default=BUNDLED, help="safetensors file to write")
    evaluating = command(
        "evaluate",
        _evaluate,
        "train without a crystal and its likes, and measure on it; for each crystal in turn",
        parents=[common],
    )
    evaluating.add_argument(
        "--held-out", nargs="+", choices=sorted(CRYSTALS), default=PAPER_CRYSTALS, help="crystals"
    )
    evaluating.add_argument("--images", type=int, default=3, help="per crystal and dose")
    evaluating.add_argument("--image-seed", type=int, default=1, help="of these images")
    command("ief", _ief, "what the paper's edited IEF chooses on its materials at its doses")
    drawing = command("micrograph", _micrograph, "write the bundled demonstration, noisy and true")
    drawing.add_argument("--folder", type=Path, default=DEMO, help="where to")
    return parser


def _fit(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    with _threads(options.threads):
        examples = _examples(options)
        training, validation = split(examples, TRAINING_SHARE, seed=options.seed)
        fitted = fit(training, validation, _fit_options(options), progress=_report_epoch)
    settings = f"--each {options.each} --invented {options.invented} --epochs {options.epochs} "
    settings += f"--labels {options.labels} --seed {options.seed} --threads {options.threads}"
    card = model_card(
        fitted,
        training,
        validation,
        options=_fit_options(options),
        command=f"python -m reucid_core.training fit {settings}",
    )
    write(fitted, options.output, card)
    (options.output.parent / "README.md").write_text(readable(options.output.name, card))
    digest = hashlib.sha256(options.output.read_bytes()).hexdigest()
    _say(
        f"{options.output.name}: threshold {fitted.threshold:g}, mean loss on validation images "
        f"{fitted.validation_loss_db:.3f} dB, SHA-256 {digest}, "
        f"{time.perf_counter() - start:.0f} s"
    )


def _evaluate(options: argparse.Namespace) -> None:
    scores = []
    with _threads(options.threads):
        examples = _examples(options)
        for name in options.held_out:
            _say(f"without {name} and its likes")
            scores += leave_one_out(
                examples,
                CRYSTALS[name],
                _fit_options(options),
                n_each=options.images,
                image_seed=options.image_seed,
            )
    sys.stdout.write(f"\n{table(scores)}\n{summary(scores)}")


def _ief(_options: argparse.Namespace) -> None:
    with _threads(1):
        sys.stdout.write(ief_table(list(cases_of([CRYSTALS[name] for name in PAPER_CRYSTALS]))))


def _micrograph(options: argparse.Namespace) -> None:
    for path in write_demonstration(options.folder):
        _say(f"wrote {path}")


def _examples(options: argparse.Namespace) -> list[Example]:
    recipes = draw_recipes(options.each, options.invented, seed=options.seed)
    return make_examples(recipes, progress=_report_example)


def _fit_options(options: argparse.Namespace) -> FitOptions:
    return FitOptions(labels=options.labels, epochs=options.epochs, seed=options.seed)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Sums depend on how many threads share them: fixed, the weights repeat."""
    torch.set_num_threads(count)
    with threadpool_limits(count):
        yield


def _report_example(done: int, total: int) -> None:
    if done % 20 == 0 or done == total:
        _say(f"micrograph {done} of {total}")


def _report_epoch(epoch: Epoch) -> None:
    _say(
        f"epoch {epoch.number}: loss {epoch.training_loss:.4f} in training, "
        f"{epoch.validation_loss:.4f} in validation"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
