"""The location towers against a plain re-computation from the papers: SciPy's Legendre functions, torch's layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln, lpmv
from torch.nn import functional

from geomm_engine.encoders.location import layout
from geomm_engine.encoders.location.geoclip import GeoclipPlaces, equal_earth
from geomm_engine.encoders.location.harmonics import spherical_harmonics
from geomm_engine.encoders.location.satclip import SatclipPlaces
from geomm_engine.encoders.location.tower import LocationTower
from geomm_engine.sphere import fibonacci_points, lat_lon, unit_vectors
from tests.engine.encoders.published import random_weights

LAT = np.array([-90.0, -89.99, -60.0, -10.0, 0.0, 33.3, 71.0, 89.9, 90.0])
LON = np.array([0.0, 180.0, -180.0, 12.0, 55.0, -120.0, 179.0, -77.0, 10.0])


def by_scipy(lat: np.ndarray, lon: np.ndarray, degrees: int) -> np.ndarray:
    theta, phi = np.radians(lat + 90.0), np.radians(lon + 180.0)
    columns = []
    for degree in range(degrees):
        for order in range(-degree, degree + 1):
            m = abs(order)
            size = math.sqrt((2 * degree + 1) / (4 * math.pi)) * math.exp(
                0.5 * (gammaln(degree - m + 1) - gammaln(degree + m + 1))
            )
            legendre = size * (-1) ** m * lpmv(m, degree, np.cos(theta))
            wave = math.pi if order == 0 else math.sqrt(2) * (np.sin(m * phi) if order < 0 else np.cos(m * phi))
            columns.append(legendre * wave)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("degrees", [1, 2, 10, 40])
def test_harmonics_are_those_of_scipy(degrees: int) -> None:
    found = spherical_harmonics(LAT, LON, degrees)
    assert found.shape == (len(LAT), degrees**2)
    np.testing.assert_allclose(found, by_scipy(LAT, LON, degrees), atol=1e-11)


def test_the_first_harmonics_are_the_published_constants() -> None:
    """The formulas that the authors wrote out: 0.886…, 0.4886… sin θ sin φ, 1.5349… cos θ, 0.4886… sin θ cos φ."""
    theta, phi = math.radians(30.0 + 90.0), math.radians(50.0 + 180.0)
    wanted = [
        0.886226925452758,
        0.48860251190292 * math.sin(theta) * math.sin(phi),
        1.53499006191973 * math.cos(theta),
        0.48860251190292 * math.sin(theta) * math.cos(phi),
        1.09254843059208 * math.sin(theta) ** 2 / 2 * math.sin(2 * phi),
    ]
    np.testing.assert_allclose(spherical_harmonics([30.0], [50.0], 3)[0, :5], wanted, atol=1e-12)


def test_harmonics_are_orthonormal_but_for_order_zero() -> None:
    lat, lon = lat_lon(fibonacci_points(20_000))
    values = spherical_harmonics(lat, lon, 6)
    product = values.T @ values * (4 * math.pi / len(values))
    wanted = np.eye(36)
    for degree in range(6):
        wanted[degree * (degree + 1), degree * (degree + 1)] = math.pi**2
    np.testing.assert_allclose(product, wanted, atol=0.02)


def test_harmonics_of_degree_100_stay_finite_and_bounded() -> None:
    values = spherical_harmonics(LAT, LON, 101)
    assert np.isfinite(values).all()
    per_degree = [(values[:, n * n + n] / math.pi) ** 2 for n in range(101)]
    rest = [(values[:, n * n : (n + 1) ** 2] ** 2).sum(axis=1) - values[:, n * n + n] ** 2 for n in range(101)]
    for degree in (0, 1, 40, 100):  # Unsöld: the squares of one degree add up to (2l + 1) / 4π everywhere
        np.testing.assert_allclose(per_degree[degree] + rest[degree], (2 * degree + 1) / (4 * math.pi), rtol=1e-9)


def satclip_weights(degrees: int) -> dict[str, np.ndarray]:
    weights = random_weights(layout.satclip_places(degrees), seed=5, dtype=torch.float64)
    weights["layers.0.weight"] /= 30.0
    return {name: value.numpy() for name, value in weights.items()}


@pytest.mark.parametrize("degrees", [10, 40])
def test_satclip_is_a_network_of_sines(degrees: int) -> None:
    weights = satclip_weights(degrees)
    part = {name: torch.from_numpy(value) for name, value in weights.items()}
    values = torch.from_numpy(by_scipy(LAT, LON, degrees))
    values = torch.sin(30.0 * functional.linear(values, part["layers.0.weight"], part["layers.0.bias"]))
    values = torch.sin(functional.linear(values, part["layers.1.weight"], part["layers.1.bias"]))
    wanted = functional.linear(values, part["last_layer.weight"], part["last_layer.bias"]).numpy()
    found = SatclipPlaces(weights).vectors(LAT, LON)
    assert found.shape == (len(LAT), 256)
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_geoclip_adds_three_networks_of_fourier_features() -> None:
    weights = random_weights(layout.geoclip_places(), seed=6)
    for at, sigma in enumerate((1.0, 16.0, 256.0)):
        weights[f"LocEnc{at}.capsule.0.b"] = torch.randn(256, 2, generator=torch.Generator().manual_seed(at)) * sigma
    place = torch.from_numpy(equal_earth(LAT, LON))
    wanted = torch.zeros(len(LAT), 512)
    for at in range(3):
        own = {name.split(".", 1)[1]: value for name, value in weights.items() if name.startswith(f"LocEnc{at}.")}
        phase = 2 * torch.pi * place @ own["capsule.0.b"].double().T
        values = torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1).float()
        for name in ("capsule.1", "capsule.3", "capsule.5"):
            values = torch.relu(functional.linear(values, own[f"{name}.weight"], own[f"{name}.bias"]))
        wanted += functional.linear(values, own["head.0.weight"], own["head.0.bias"])
    found = GeoclipPlaces({name: value.numpy() for name, value in weights.items()}).vectors(LAT, LON)
    np.testing.assert_allclose(found, wanted.numpy(), atol=2e-5)


def test_equal_earth_is_that_of_proj() -> None:
    from pyproj import CRS, Transformer

    sphere = CRS.from_proj4("+proj=eqearth +R=1 +lon_0=0")
    to_map = Transformer.from_crs(CRS.from_proj4("+proj=longlat +R=1"), sphere, always_xy=True)
    lat, lon = np.array([-90.0, -45.0, 0.0, 12.5, 60.0, 90.0]), np.array([-170.0, 30.0, 179.9, -60.0, 100.0, 0.0])
    wanted = np.stack(to_map.transform(lon, lat), axis=1) * 66.50336 / 180
    np.testing.assert_allclose(equal_earth(lat, lon), wanted, atol=1e-9)


def satclip_tower(degrees: int = 10) -> LocationTower:
    return LocationTower(SatclipPlaces(satclip_weights(degrees)), 256)


def geoclip_tower() -> LocationTower:
    weights = random_weights(layout.geoclip_places(), seed=7)
    for at, sigma in enumerate((1.0, 16.0, 256.0)):
        weights[f"LocEnc{at}.capsule.0.b"] *= sigma * math.sqrt(2.0)
    return LocationTower(GeoclipPlaces({name: value.numpy() for name, value in weights.items()}), 512)


def test_satclip_is_whole_at_the_poles_and_the_date_line() -> None:
    tower = satclip_tower(40)
    pole = tower.embed_places(90.0, [-180.0, -20.0, 77.0, 180.0])
    assert (pole @ pole.T).min() > 1 - 1e-6
    west, east = tower.embed_places([10.0], [-180.0]), tower.embed_places([10.0], [180.0])
    np.testing.assert_allclose(west, east, atol=1e-6)
    np.testing.assert_allclose(tower.embed_places(10.0, 190.0), tower.embed_places(10.0, -170.0), atol=1e-6)


def test_geoclip_is_cut_at_the_date_line_and_spread_over_the_poles() -> None:
    """As published: its map has an edge. 180° is read as −180°, so that one place has one vector all the same."""
    tower = geoclip_tower()
    west, east = tower.embed_places(10.0, -179.999), tower.embed_places(10.0, 179.999)
    near = tower.embed_places(10.0, 179.9985)
    assert float((east @ near.T)[0, 0]) > 0.99
    assert float((west @ east.T)[0, 0]) < 0.9
    np.testing.assert_array_equal(tower.embed_places(10.0, 180.0), tower.embed_places(10.0, -180.0))
    pole = tower.embed_places(90.0, [-120.0, 120.0])
    assert float((pole @ pole.T).min()) < 0.9
    assert np.isfinite(pole).all()


@pytest.mark.parametrize("tower", [satclip_tower(), geoclip_tower()])
def test_vectors_are_of_length_one_and_do_not_depend_on_their_neighbours(tower: LocationTower) -> None:
    together = tower.embed_places(LAT, LON)
    assert together.dtype == np.float32
    assert together.shape == (len(LAT), tower.dim)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    alone = np.concatenate([tower.embed_places(lat, lon) for lat, lon in zip(LAT, LON, strict=True)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert tower.embed_places([], []).shape == (0, tower.dim)


def test_a_gap_in_the_weights_is_named() -> None:
    weights = satclip_weights(10)
    del weights["layers.1.bias"]
    with pytest.raises(KeyError, match=r"layers\.1\.bias"):
        SatclipPlaces(weights)
    weights = satclip_weights(10)
    weights["last_layer.weight"] = weights["last_layer.weight"][:, :100]
    with pytest.raises(ValueError, match="last_layer"):
        SatclipPlaces(weights)


@pytest.mark.parametrize(
    ("kind", "degrees", "published_bytes"),
    [
        (layout.VIT, 10, 102_550_795),
        (layout.RESNET18, 10, 57_201_927),
        (layout.RESNET18, 40, 75_633_927),
        (layout.RESNET50, 10, 111_491_067),
        (layout.RESNET50, 40, 129_923_067),
    ],
)
def test_the_layout_fills_the_published_files(kind: str, degrees: int, published_bytes: int) -> None:
    """Weights, and the two moments that Adam kept of what was trained, leave only the file's own index over."""
    tower = layout.image_tower(kind)
    last = "head" if kind == layout.VIT else "fc"
    numbers = sum(math.prod(shape) * (8 if name.endswith("tracked") else 4) for name, shape in tower.items())
    numbers += 2 * 4 * sum(math.prod(shape) for name, shape in tower.items() if name.startswith(last))
    numbers += 3 * 8 * sum(math.prod(shape) for shape in layout.satclip_places(degrees).values())
    assert 0 < published_bytes - numbers < 140_000


def test_unit_vectors_and_towers_speak_of_the_same_places() -> None:
    """The order-one harmonics are the place's coordinates, turned by SatCLIP's half circles."""
    values = spherical_harmonics(LAT, LON, 2)
    x, y, z = unit_vectors(LAT, LON).T
    np.testing.assert_allclose(values[:, 1] / 0.48860251190292, -y, atol=1e-12)
    np.testing.assert_allclose(values[:, 2] / 1.53499006191973, -z, atol=1e-12)
    np.testing.assert_allclose(values[:, 3] / 0.48860251190292, -x, atol=1e-12)
