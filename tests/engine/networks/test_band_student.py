"""The student of any bands: with the pictures of its tower it starts as that tower; absent bands weigh nothing."""

from __future__ import annotations

import torch

from geomm_engine.networks.band_student import BandStudent, BandStudentSettings, code_of
from geomm_engine.networks.mobile_stem import MobileStemSettings
from geomm_engine.networks.scene_tower import SceneTower, SceneTowerSettings

TOWER = SceneTowerSettings(dim=12, stem=MobileStemSettings((8, 12), (2, 2)), width=16, layers=1, heads=2, gsd_width=8)
CODES = ("0.49", "0.56", "0.665", "0.842")


def scenes(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Four bands, and the first three of them as the pictures of a tower: other order, gain and offset."""
    torch.manual_seed(3)
    bands = torch.rand(count, 4, 16, 16)
    return bands, torch.stack([2 * bands[:, 2] - 1, 1.5 * bands[:, 1], bands[:, 0] + 0.2], dim=1)


def test_with_the_bands_of_its_tower_a_student_is_its_tower() -> None:
    bands, pictures = scenes()
    tower = SceneTower(TOWER).eval()
    student = BandStudent(BandStudentSettings(CODES, TOWER)).eval()
    student.tower.load_state_dict(tower.state_dict())
    student.mix.resemble(bands, torch.ones(6, 4), pictures)
    gsd_m = torch.full((6,), 10.0)
    with torch.inference_mode():
        ours, theirs = student(bands, gsd_m, torch.ones(6, 4)), tower(pictures, gsd_m)
    assert torch.cosine_similarity(ours, theirs).min() > 0.99
    torch.testing.assert_close(student.mix(bands, torch.ones(6, 4)), pictures, atol=0.05, rtol=0)


def test_an_absent_band_changes_nothing_whatever_its_values() -> None:
    bands, _ = scenes()
    student = BandStudent(BandStudentSettings(CODES, TOWER)).eval()
    torch.nn.init.ones_(student.gain)
    present = torch.tensor([1.0, 0.0, 1.0, 1.0]).expand(6, 4)
    gsd_m = torch.full((6,), 10.0)
    other = bands.clone()
    other[:, 1] = 7.0
    with torch.inference_mode():
        first = student(bands * present[:, :, None, None], gsd_m, present)
        second = student(other * present[:, :, None, None], gsd_m, present)
        nothing = student(torch.zeros_like(bands), gsd_m, torch.zeros(6, 4))
    assert torch.equal(first, second)
    assert torch.isfinite(nothing).all()


def test_the_band_that_resembles_a_picture_counts_most() -> None:
    bands, pictures = scenes()
    mix = BandStudent(BandStudentSettings(CODES, TOWER)).mix
    mix.resemble(bands, torch.ones(6, 4), pictures)
    assert mix.preference.argmax(dim=1).tolist() == [2, 1, 0]
    mix.resemble(bands, torch.ones(6, 4), -pictures)
    assert (mix.scale[[0, 1, 2], [2, 1, 0]] < 0).all()


def test_pictures_stay_within_their_bounds() -> None:
    bands, _ = scenes()
    student = BandStudent(BandStudentSettings(CODES, TOWER, lowest=(-1.0,) * 3, highest=(1.0,) * 3)).eval()
    gsd_m, present = torch.full((6,), 10.0), torch.ones(6, 4)
    with torch.inference_mode():
        torch.testing.assert_close(student(50 * bands + 50, gsd_m, present), student(90 * bands + 90, gsd_m, present))


def test_codes() -> None:
    assert [code_of("nir", 842.0), code_of("VV", 0.0), code_of("unheard of", 0.0)] == ["0.842", "vv", "other"]
