"""Remakes tests/golden/encoders/{clip_l14,clip_l14_336,clip_h14,openclip_h14}.{json,safetensors} and their shapes: CLIP in
the widths, heads, patches and projections of ViT-L/14, ViT-L/14@336 and ViT-H/14, with two layers a tower and a small
vocabulary, so that a test stays light.

Run with torch 2.15.0, transformers 5.23.0, open_clip_torch 3.3.0, safetensors and numpy 2.4: `python
scripts/golden_clip.py`. With a name and a folder it writes that model in its full size there instead: weights, config,
inputs and outputs, to be compared by hand.
"""

import json
import pathlib
import sys

import numpy as np
import open_clip
import torch
import transformers
from safetensors.numpy import save_file

from formula import image, values, weight

GOLDEN = pathlib.Path(__file__).parent.parent / "tests/golden/encoders"
# Width, heads and layers of the text tower, those of the image tower, side, projection, activation.
L14 = ((768, 12, 12), (1024, 16, 24), 224, 768, "quick_gelu")
H14 = ((1024, 16, 24), (1280, 16, 32), 224, 1024, "gelu")
MODELS = {
    "clip_l14": (L14, 61),
    "clip_l14_336": ((*L14[:2], 336, *L14[3:]), 62),
    "clip_h14": (H14, 63),
    "openclip_h14": (H14, 64),
}
PATCH, CONTEXT, LENGTHS = 14, 77, (77, 9, 30)


def tower(width, heads, layers):
    return {
        "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }


def kind(name, shape):
    """How the formula makes this tensor."""
    if name == "logit_scale":
        return {"kind": "const", "value": 2.6592}
    if "embedding" in name and "patch" not in name:
        return {"kind": "embedding", "scale": 0.2}
    norm = any(part in name for part in ("norm", "layrnorm", "ln_"))
    if name.endswith("bias"):
        return {"kind": "norm_bias" if norm else "bias"}
    if norm:
        return {"kind": "norm_weight"}
    # open_clip multiplies by its projections from the right.
    from_right = name in ("visual.proj", "text_projection")
    return {"kind": "weight", "fan_in": shape[0] if from_right else int(np.prod(shape[1:])), "gain": 1.0}


def token_ids(seed, vocabulary, padding):
    """Three texts between the begin and the end, the two last ids of the vocabulary."""
    ids = np.full((len(LENGTHS), CONTEXT), padding, np.int64)
    words = np.floor((values("input.ids", ids.shape, seed, 0.5, 0.5)) * (vocabulary - 3)).astype(np.int64) + 1
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = words[row, :length]
        ids[row, 0], ids[row, length - 1] = vocabulary - 2, vocabulary - 1
    mask = (np.arange(CONTEXT) < np.array(LENGTHS)[:, None]).astype(np.int64)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def build(name, full):
    (text, vision, side, projection, activation), seed = MODELS[name]
    layers = (lambda size: size) if full else (lambda size: (*size[:2], 2))
    vocabulary = 49408 if full else 1000
    text = tower(*layers(text)) | {"vocab_size": vocabulary, "max_position_embeddings": CONTEXT}
    vision = tower(*layers(vision)) | {"image_size": side, "patch_size": PATCH}
    sizes = {"text": text, "vision": vision}
    if name.startswith("openclip"):
        sizes |= {"embed_dim": projection, "quick_gelu": activation == "quick_gelu"}
        config = {
            "embed_dim": projection,
            "quick_gelu": activation == "quick_gelu",
            "vision_cfg": {
                "image_size": side, "patch_size": PATCH, "layers": vision["num_hidden_layers"],
                "width": vision["hidden_size"],
                "head_width": vision["hidden_size"] // vision["num_attention_heads"],
            },
            "text_cfg": {
                "context_length": CONTEXT, "vocab_size": vocabulary, "layers": text["num_hidden_layers"],
                "width": text["hidden_size"], "heads": text["num_attention_heads"],
            },
        }
        network = open_clip.model.CLIP(**config)
        return network, sizes, {"model_cfg": config}, seed
    sizes |= {"projection_dim": projection}
    # 2 is what the published configurations say: the text ends at the largest id.
    config = {
        "model_type": "clip", "projection_dim": projection,
        "text_config": text | {"hidden_act": activation, "eos_token_id": 2},
        "vision_config": vision | {"hidden_act": activation},
    }
    return transformers.CLIPModel(transformers.CLIPConfig(**config)), sizes, config, seed


@torch.no_grad()
def outputs(name, network, ids, mask, images):
    if name.startswith("openclip"):
        text, picture = network.encode_text(ids), network.encode_image(images)
    else:
        text = network.get_text_features(input_ids=ids, attention_mask=mask)
        picture = network.get_image_features(pixel_values=images)
        # Newer releases give an output of several fields.
        text, picture = (getattr(x, "pooler_output", x) for x in (text, picture))
    unit = torch.nn.functional.normalize
    return {
        "text_features": text, "text_embeds": unit(text, dim=-1),
        "image_features": picture, "image_embeds": unit(picture, dim=-1),
    }


def make(name, full):
    network, sizes, config, seed = build(name, full)
    network = network.eval()
    tensors = [
        {"name": key, "shape": list(tensor.shape), **kind(key, list(tensor.shape))}
        for key, tensor in network.state_dict().items()
    ]
    state = network.state_dict()
    for tensor in tensors:
        state[tensor["name"]].copy_(weight(tensor, seed))
    open_clips = name.startswith("openclip")
    vocabulary = sizes["text"]["vocab_size"]
    # open_clip pads with 0, transformers with the end.
    ids, mask = token_ids(seed, vocabulary, 0 if open_clips else vocabulary - 1)
    side = sizes["vision"]["image_size"]
    images = 4 * image(seed, (1, 3, side, side)) - 2
    arrays = {key: value.numpy() for key, value in outputs(name, network, ids, mask, images).items()}
    arrays["input_ids"] = ids.numpy()
    if not open_clips:
        arrays["attention_mask"] = mask.numpy()
    shapes = {"model": type(network).__module__ + "." + type(network).__name__, "config": sizes, "tensors": tensors}
    case = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "open_clip": open_clip.__version__},
        "weights_seed": seed,
        "shapes": f"{name}.json",
        "image_input": {"seed": seed, "B": 1, "size": side, "rule": "4*image - 2 (f32)"},
        "hidden_act": MODELS[name][0][4],
        "eos_token_id": 2,
    }
    return state, config, arrays, shapes, case, images


def main():
    if len(sys.argv) == 3:
        name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
        state, config, arrays, _, _, images = make(name, True)
        save_file({key: tensor.numpy() for key, tensor in state.items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config) + "\n")
        np.save(folder / "images.npy", images.numpy())
        for key, array in arrays.items():
            np.save(folder / f"{key}.npy", array)
        return
    for name in MODELS:
        _, _, arrays, shapes, case, _ = make(name, False)
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, GOLDEN / f"{name}.safetensors")
        (GOLDEN / "shapes" / f"{name}.json").write_text(json.dumps(shapes) + "\n")
        (GOLDEN / f"{name}.json").write_text(json.dumps(case) + "\n")


main()
