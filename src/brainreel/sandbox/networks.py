"""The small networks before training: ordinary classes of transformers and diffusers, in small sizes."""

from __future__ import annotations

from typing import Any

from brainreel.sandbox.words import TOKENS, vocabulary
from brainreel.world.scenes import FRAMES, KINDS, MOTIONS, SIDE

LATENT_CHANNELS = 32
# Eight pixels and four frames of the clip make one place of the latent.
LATENT_SHAPE = (LATENT_CHANNELS, (FRAMES - 1) // 4 + 1, SIDE // 8, SIDE // 8)
TEXT_DIM = 96
CLASSIFIER_FRAMES = 8
CLIP_DIM = 64


def autoencoder() -> Any:
    """A causal video autoencoder of Wan's family (diffusers), 0.7 M parameters.

    Its latent has the meaning of linear patches' principal components (`brainreel.sandbox.patches`), 32 numbers for
    four frames of 8 x 8 pixels, and the residual short cuts are Wan 2.2's.
    """
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=16,
        z_dim=LATENT_CHANNELS,
        # The short cuts copy channels in whole numbers.
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        is_residual=True,
        temperal_downsample=[True, True],
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=8,
        scale_factor_temporal=4,
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
    )


def transformer() -> Any:
    """A diffusion transformer of Wan's family (diffusers), 2.4 M parameters on 80 tokens."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=4,
        attention_head_dim=40,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=64,
        ffn_dim=480,
        num_layers=6,
        cross_attn_norm=True,
        rope_max_seq_len=32,
    )


def text_encoder() -> Any:
    """The transformer's text encoder (transformers), trained together with it."""
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(vocabulary()),
            d_model=TEXT_DIM,
            d_kv=24,
            d_ff=256,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )


def clip() -> Any:
    """A CLIP for single frames and captions (transformers)."""
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": len(vocabulary()),
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS,
        "bos_token_id": 3,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    vision = {
        "hidden_size": 144,
        "intermediate_size": 432,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 8,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=CLIP_DIM))


def classes() -> list[str]:
    """What the classifier tells apart: every kind in every motion."""
    return [f"{kind}, {motion}" for kind in KINDS for motion in MOTIONS]


def classifier() -> Any:
    """A video classifier (transformers) that shares nothing with the targets, for the semantic scores."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    names = classes()
    return VideoMAEForVideoClassification(
        VideoMAEConfig(
            image_size=SIDE,
            patch_size=16,
            num_frames=CLASSIFIER_FRAMES,
            tubelet_size=2,
            hidden_size=96,
            intermediate_size=224,
            num_hidden_layers=4,
            num_attention_heads=4,
            id2label=dict(enumerate(names)),
            label2id={name: index for index, name in enumerate(names)},
        )
    )
