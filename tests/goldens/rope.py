"""Both spellings of the rotary keys."""

import json
import tempfile
from pathlib import Path

# Keys of config.json that transformers 4 had at the top level, by model type.
NEOX_NAMES = {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}


def old_spelling(config, changes):
    """config.json in the words of transformers 4.

    `rope_parameters` becomes `rope_theta`, `partial_rotary_factor` and `rope_scaling` (gemma3: and
    `rope_local_base_freq`), `dtype` becomes `torch_dtype`. `changes` are further keys; None takes one away. The key
    `rope` of `changes` says how the kind is called inside `rope_scaling`: `type` or `rope_type`.
    """
    old = dict(config)
    changes = dict(changes)
    kind_key = changes.pop("rope", "type" if config["model_type"] == "phi3" else "rope_type")
    old["torch_dtype"] = old.pop("dtype")
    old["transformers_version"] = "4.46.0"
    parameters = old.pop("rope_parameters", None)
    if parameters is not None:
        old.update(_rope_keys(parameters, config["model_type"], kind_key))
    for key, value in changes.items():
        if value is None:
            old.pop(key, None)
        else:
            old[key] = value
    return old


def _rope_keys(parameters, model_type, kind_key):
    found = {}
    if "full_attention" in parameters:
        found["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        parameters = parameters["full_attention"]
    rest = dict(parameters)
    names = NEOX_NAMES if model_type == "gpt_neox" else {}
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in rest:
            found[names.get(key, key)] = rest.pop(key)
    if model_type == "phi3":
        # Phi's own place for it, and the only one in its published files.
        rest.pop("original_max_position_embeddings", None)
    kind = rest.pop("rope_type")
    found["rope_scaling"] = None if kind == "default" else {kind_key: kind, **rest}
    return found


# Keys that transformers keeps from an old file though nothing reads them any more.
LEFT_OVER = {
    "max_window_layers", "sliding_window_pattern", "_sliding_window_pattern", "partial_rotary_factor",
    "transformers_version", "_name_or_path",
}


def assert_same(reader, folder):
    """Both files give transformers the same configuration."""
    with tempfile.TemporaryDirectory() as other:
        Path(other, "config.json").write_text((folder / "config.v4.json").read_text())
        old, new = (_effective(reader.from_pretrained(place)) for place in (other, folder))
    different = {key: (old.get(key), new.get(key)) for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    assert not different, json.dumps(different, default=str)


def _effective(config):
    keys = {key: value for key, value in config.to_dict().items() if key not in LEFT_OVER}
    for parameters in (keys.get("rope_parameters") or {}, *(keys.get("rope_parameters") or {}).values()):
        if isinstance(parameters, dict):
            parameters.pop("type", None)
    return keys
