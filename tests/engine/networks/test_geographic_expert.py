"""The expert's network: any size of picture goes in, outputs have their shapes, the basis mixes the place logits."""

from __future__ import annotations

import torch

from geomm_engine.networks.geographic_expert import GeographicExpert, GeographicSettings
from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.sphere import fibonacci_points

STEM = MobileStemSettings((8, 12), (2, 2))
TINY = GeographicSettings(dim=16, stem=STEM, width=8, gsd_width=4, dropout=0.0, is_plain=True)


def test_every_size_goes_in() -> None:
    centres = torch.from_numpy(fibonacci_points(30)).float()
    network = GeographicExpert(TINY, centres, torch.randn(7, 30), 50.0).eval()
    for height, width in ((24, 24), (1, 1), (5, 40)):
        found = network(torch.randn(3, 3, height, width), torch.full((3,), 5000.0))
        shapes = [tuple(getattr(found, name).shape) for name in ("place", "climate", "season", "abstain", "embedding")]
        assert shapes == [(3, 30), (3, 31), (3, 2), (3,), (3, 16)]
        assert found.plain.shape == (3, 5)
        assert all(torch.isfinite(item).all() for item in vars(found).values())
    assert torch.allclose(network.kappa, torch.full((30,), 50.0))


def test_centres_that_share_a_column_of_the_basis_get_the_same_logit() -> None:
    centres = torch.from_numpy(fibonacci_points(4)).float()
    basis = torch.tensor([[1.0, 1.0, 0.0, 2.0], [0.0, 0.0, 1.0, 0.0]])
    settings = GeographicSettings(dim=8, stem=STEM, width=8, gsd_width=4)
    found = GeographicExpert(settings, centres, basis, 10.0).eval()(torch.randn(2, 3, 8, 8), torch.ones(2))
    assert torch.equal(found.place[:, 0], found.place[:, 1])
    assert torch.allclose(found.place[:, 3], 2 * found.place[:, 0])
    assert found.plain.shape == (2, 0)
