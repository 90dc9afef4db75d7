"""The expert's network: harmonics are orthonormal, any size of picture goes in, outputs have their shapes."""

from __future__ import annotations

import torch

from geomm_engine.networks.geographic_expert import GeographicExpert, GeographicSettings, Palette, spherical_harmonics
from geomm_engine.sphere import fibonacci_points

TINY = GeographicSettings(dim=16, widths=(8, 8), depths=(1,), gsd_width=4, degree=3, dropout=0.0, is_plain=True)


def test_harmonics_are_orthonormal() -> None:
    points = torch.from_numpy(fibonacci_points(20000))
    values = spherical_harmonics(points, 7).double()
    product = values.T @ values * (4 * torch.pi / len(points))
    assert (product - torch.eye(64)).abs().max() < 1e-3


def test_every_size_goes_in() -> None:
    centres = torch.from_numpy(fibonacci_points(30)).float()
    network = GeographicExpert(TINY, centres, 50.0).eval()
    for height, width in ((24, 24), (1, 1), (5, 40)):
        found = network(torch.randn(3, 3, height, width), torch.full((3,), 5000.0))
        shapes = [tuple(getattr(found, name).shape) for name in ("place", "climate", "season", "abstain", "embedding")]
        assert shapes == [(3, 30), (3, 31), (3, 2), (3,), (3, 16)]
        assert found.plain.shape == (3, 5)
        assert all(torch.isfinite(item).all() for item in vars(found).values())
    assert torch.allclose(network.kappa, torch.full((30,), 50.0))


def test_a_degree_of_zero_frees_every_centre() -> None:
    centres = torch.from_numpy(fibonacci_points(12)).float()
    settings = GeographicSettings(dim=8, widths=(8, 8), depths=(1,), gsd_width=4, degree=0)
    network = GeographicExpert(settings, centres, 10.0).eval()
    assert torch.equal(network.basis, torch.eye(12))
    assert network(torch.randn(2, 3, 8, 8), torch.ones(2)).plain.shape == (2, 0)


def test_the_palette_does_not_care_where_a_colour_is() -> None:
    palette = Palette((0.3, 0.3, 0.3), (0.25, 0.25, 0.25))
    image = torch.randn(1, 3, 12, 12)
    mirrored = image.flip(3)
    first = 6 + 3 + 6
    assert torch.allclose(palette(image)[:, :first], palette(mirrored)[:, :first], atol=1e-5)
    assert palette(image).shape == (1, Palette.FEATURES)
    histogram = palette._histogram(torch.rand(1, 3, 9, 9))
    assert torch.isclose((histogram**2 - 1e-4).sum(), torch.tensor(1.0), atol=1e-4)
