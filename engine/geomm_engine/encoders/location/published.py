"""Location models that other people publish: which files, where, under which licence. GeoMM fetches none of them.

Sizes and SHA-256 as their authors' file hosts state them; "" where none was found. The size of
ViT16-L40 is that of ViT16-L10 and 18,432,000 more, by which L40 exceeds L10 for both ResNets.
"""

from __future__ import annotations

from dataclasses import dataclass

from geomm_engine.encoders.card import Licence
from geomm_engine.encoders.location import layout


@dataclass(frozen=True)
class PublishedFile:
    """``is_needed``: without it the model cannot be added; without the others it knows places but no pictures."""

    name: str
    url: str
    size_bytes: int
    sha256: str = ""
    is_needed: bool = True


@dataclass(frozen=True)
class PublishedModel:
    id: str
    name: str
    licence: Licence
    files: tuple[PublishedFile, ...]


def _satclip(kind: str, name: str, degrees: int, size_bytes: int, sha256: str) -> PublishedModel:
    file = f"satclip-{name.lower()}-l{degrees}.ckpt"
    url = f"https://huggingface.co/microsoft/SatCLIP-{name}-L{degrees}"
    licence = Licence("MIT", "https://github.com/microsoft/satclip/blob/main/LICENSE")
    return PublishedModel(
        f"{kind}-l{degrees}", f"SatCLIP {name}-L{degrees}", licence, (PublishedFile(file, url, size_bytes, sha256),)
    )


_GEOCLIP_URL = "https://github.com/VicenteVivan/geo-clip/tree/main/geoclip/model/weights"

PUBLISHED = (
    _satclip(
        layout.RESNET18, "ResNet18", 10, 57_201_927, "c4af9559afb43d9c8be2781d4f70ce3f8a1087ea5a3773906c7c50ed05479ebd"
    ),
    _satclip(
        layout.RESNET18, "ResNet18", 40, 75_633_927, "6e2ed15146566170829bae8dd506d8274cd6fe4534c0ef407668dc3ccb04d2f1"
    ),
    _satclip(
        layout.RESNET50, "ResNet50", 10, 111_491_067, "87ad5e8ca152e9564896f48de033e8d4278665bce049d36b3794847a430e69b1"
    ),
    _satclip(
        layout.RESNET50, "ResNet50", 40, 129_923_067, "50df6453c20ce82b51ceba89811dcf1a21e7fa9d625cbc630f4cdcc4fc0de53a"
    ),
    _satclip(layout.VIT, "ViT16", 10, 102_550_795, "c7596a5f7aacf72a7c49587a2a5a80f23cf61000a36b46e471c1422b273ca9c0"),
    _satclip(layout.VIT, "ViT16", 40, 120_982_795, ""),
    PublishedModel(
        "geoclip",
        "GeoCLIP",
        Licence("MIT", "https://github.com/VicenteVivan/geo-clip/blob/main/LICENSE"),
        (
            PublishedFile("location_encoder_weights.pth", _GEOCLIP_URL, 37_800_000),
            PublishedFile("logit_scale_weights.pth", _GEOCLIP_URL, 1_000),
            PublishedFile("image_encoder_mlp_weights.pth", _GEOCLIP_URL, 3_940_000, is_needed=False),
            PublishedFile(
                "model.safetensors",
                "https://huggingface.co/openai/clip-vit-large-patch14",
                1_710_000_000,
                "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
                is_needed=False,
            ),
        ),
    ),
)


def published_file(sha256: str) -> PublishedFile | None:
    """The published file with this SHA-256, if one is known."""
    return next((file for model in PUBLISHED for file in model.files if sha256 and file.sha256 == sha256), None)
