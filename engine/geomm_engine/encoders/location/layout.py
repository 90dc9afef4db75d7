"""Names and shapes of the tensors in the files that the authors of GeoCLIP and SatCLIP publish. Plain facts, no arithmetic.

SatCLIP's image towers bear timm's names (ViT-S/16, ResNet-18 and -50 with 13 input bands), GeoCLIP's those of CLIP
ViT-L/14 as Hugging Face writes it, with two linear layers behind it.
"""

from __future__ import annotations

Layout = dict[str, tuple[int, ...]]

GEOCLIP_CAPSULES = 3
GEOCLIP_LINEAR = ("capsule.1", "capsule.3", "capsule.5", "head.0")
GEOCLIP_DIM = 512
SATCLIP_DIM = 256
SATCLIP_BANDS = 13
VIT = "satclip-vit16"
RESNET18 = "satclip-resnet18"
RESNET50 = "satclip-resnet50"
CLIP_TOWER = "geoclip-image"
INPUT_PX = {VIT: 224, RESNET18: 256, RESNET50: 256, CLIP_TOWER: 224}
"""The transformers take one size only; the ResNets saw 256-pixel patches and take any."""

_BLOCKS = {RESNET18: (2, 2, 2, 2), RESNET50: (3, 4, 6, 3)}


def geoclip_places() -> Layout:
    """``location_encoder_weights.pth``: three capsules of 256 frequencies (σ 1, 16, 256, already within ``b``)."""
    shapes = ((1024, 512), (1024, 1024), (1024, 1024), (GEOCLIP_DIM, 1024))
    found: Layout = {}
    for at in range(GEOCLIP_CAPSULES):
        found[f"LocEnc{at}.capsule.0.b"] = (256, 2)
        for name, shape in zip(GEOCLIP_LINEAR, shapes, strict=True):
            found |= _linear(f"LocEnc{at}.{name}", *shape)
    return found


def geoclip_mlp() -> Layout:
    """``image_encoder_mlp_weights.pth``: from CLIP's 768 to the 512 of the places."""
    return _linear("0", 768, 768) | _linear("2", GEOCLIP_DIM, 768)


def satclip_places(degrees: int, width: int = 512, hidden: int = 2, dim: int = SATCLIP_DIM) -> Layout:
    """The names behind ``model.location.nnet.``; float64."""
    found: Layout = {}
    for at in range(hidden):
        found |= _linear(f"layers.{at}", width, degrees**2 if at == 0 else width)
    return found | _linear("last_layer", dim, width)


def image_tower(kind: str) -> Layout:
    """The names behind ``model.visual.`` of SatCLIP (float32), or those of CLIP's vision model for GeoCLIP."""
    if kind == VIT:
        return _vit()
    if kind == CLIP_TOWER:
        return _clip()
    return _resnet(kind)


def _linear(name: str, outputs: int, inputs: int) -> Layout:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Layout:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _batch_norm(name: str, width: int) -> Layout:
    found = _norm(name, width)
    found |= {f"{name}.running_mean": (width,), f"{name}.running_var": (width,), f"{name}.num_batches_tracked": ()}
    return found


def _vit() -> Layout:
    width, found = 384, {"cls_token": (1, 1, 384), "pos_embed": (1, 197, 384)}
    layout: Layout = dict(found)
    layout |= {"patch_embed.proj.weight": (width, SATCLIP_BANDS, 16, 16), "patch_embed.proj.bias": (width,)}
    for at in range(12):
        block = f"blocks.{at}"
        layout |= _norm(f"{block}.norm1", width) | _linear(f"{block}.attn.qkv", 3 * width, width)
        layout |= _linear(f"{block}.attn.proj", width, width) | _norm(f"{block}.norm2", width)
        layout |= _linear(f"{block}.mlp.fc1", 4 * width, width) | _linear(f"{block}.mlp.fc2", width, 4 * width)
    return layout | _norm("norm", width) | _linear("head", SATCLIP_DIM, width)


def _resnet(kind: str) -> Layout:
    layout: Layout = {"conv1.weight": (64, SATCLIP_BANDS, 7, 7)} | _batch_norm("bn1", 64)
    is_deep = kind == RESNET50
    inputs = 64
    for stage, blocks in enumerate(_BLOCKS[kind]):
        width = 64 * 2**stage
        outputs = 4 * width if is_deep else width
        for at in range(blocks):
            name = f"layer{stage + 1}.{at}"
            shapes = (
                [(width, inputs, 1, 1), (width, width, 3, 3), (outputs, width, 1, 1)]
                if is_deep
                else [(width, inputs, 3, 3), (width, width, 3, 3)]
            )
            for place, shape in enumerate(shapes, start=1):
                layout |= {f"{name}.conv{place}.weight": shape} | _batch_norm(f"{name}.bn{place}", shape[0])
            if at == 0 and inputs != outputs:
                layout |= {f"{name}.downsample.0.weight": (outputs, inputs, 1, 1)}
                layout |= _batch_norm(f"{name}.downsample.1", outputs)
            inputs = outputs
    return layout | _linear("fc", SATCLIP_DIM, inputs)


def _clip() -> Layout:
    width, model = 1024, "vision_model"
    layout: Layout = {
        f"{model}.embeddings.class_embedding": (width,),
        f"{model}.embeddings.patch_embedding.weight": (width, 3, 14, 14),
        f"{model}.embeddings.position_embedding.weight": (257, width),
        "visual_projection.weight": (768, width),
    }
    layout |= _norm(f"{model}.pre_layrnorm", width) | _norm(f"{model}.post_layernorm", width)
    for at in range(24):
        block = f"{model}.encoder.layers.{at}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            layout |= _linear(f"{block}.self_attn.{name}", width, width)
        layout |= _norm(f"{block}.layer_norm1", width) | _norm(f"{block}.layer_norm2", width)
        layout |= _linear(f"{block}.mlp.fc1", 4 * width, width) | _linear(f"{block}.mlp.fc2", width, 4 * width)
    return layout
