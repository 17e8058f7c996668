from . import metrics
from .errors import ConvergenceWarning, InputError, OptionError, OutputError, SegmixError
from .fitting import fit
from .imaging.files import read_image
from .imaging.image import Image, as_image
from .imaging.levels import Levels, count_levels
from .mixture.distributions import Dirichlet, HalfNormal, InverseGamma, Normal, ScaledNormal, Uniform
from .mixture.priors import Priors
from .posterior import Posterior
from .potts.options import PottsOptions
from .potts.simulation import simulate_potts
from .samples import Samples, simulate_mixture
from .scoring import score
from .segmentation import Segmentation
from .simulate import simulate_phantom
from .workflow import segment

__version__: str

__all__ = [
    "ConvergenceWarning",
    "Dirichlet",
    "HalfNormal",
    "Image",
    "InputError",
    "InverseGamma",
    "Levels",
    "Normal",
    "OptionError",
    "OutputError",
    "Posterior",
    "PottsOptions",
    "Priors",
    "Samples",
    "ScaledNormal",
    "Segmentation",
    "SegmixError",
    "Uniform",
    "__version__",
    "as_image",
    "count_levels",
    "fit",
    "metrics",
    "read_image",
    "score",
    "segment",
    "simulate_mixture",
    "simulate_phantom",
    "simulate_potts",
]
