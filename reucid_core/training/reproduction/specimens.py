"""The micrographs of the reproduction: simulated by multislice, seeded, of known truth."""

from dataclasses import replace

from reucid_core.training.judging.rivals import Noise
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.drawing import paper_recipes
from reucid_core.training.micrographs.recipes import Micrograph, Recipe
from reucid_core.training.micrographs.simulate import PAPER_DOSES

SILICON, PEROVSKITE = "Si[110]", "SrTiO3[100]"
SEED = 1
OURS = (
    "The paper's images, their pixel size and their field are not published: ours are 256 x 256 px "
    "at 0.2 A/px by multislice. Its doses are of electrons that arrive or that are counted, which "
    "it does not say; ours are counted, in the brightest column. Its weights and survey are not "
    "published either: the network is of its architecture, trained on simulated images."
)


def recipes_of(specimen: str) -> list[Recipe]:
    """The same field at each of the paper's doses, with 5 % of Gaussian noise (paper, Fig. 5)."""
    found = paper_recipes(fields.field(specimen), 1, seed=SEED)
    return [replace(each, view=found[0].view) for each in found]


def recipe_of(specimen: str, dose: float) -> Recipe:
    """One of them."""
    return recipes_of(specimen)[PAPER_DOSES.index(dose)]


def noise_of(recipe: Recipe, images: Micrograph) -> Noise:
    """What a denoiser of images is told."""
    gain = 1 / (recipe.dose * recipe.view.sampling**2)
    return Noise(gain=gain, read=images.read_noise, offset=recipe.black_level)
