"""Makes adapters of every kind that PEFT can hang on the tiny models of `make.py`, and what they compute.

    python scripts/parity/adapters.py tests/fixtures/parity

Writes `adapters/NAME/` (PEFT layout) for the models in `bert/model` and `roberta/model` there, and
`adapters/expected.safetensors`: `NAME.logits` of the padded batch in MODEL/expected.safetensors, and, where the
case asks for it, the gradients `NAME.gradient.PARAMETER` of every weight matrix that is trained, one example at a
time. All in eval mode, float32.
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

FIXTURES = Path(sys.argv[1])
SOME = dict(r=2, lora_alpha=4, target_modules=["query", "value"])
# name: (model, settings of LoRA, whether gradients are recorded, embeddings saved)
CASES = {
    "all_linear": ("bert", dict(r=2, lora_alpha=3, target_modules="all-linear"), True),
    "all_linear_roberta": ("roberta", dict(r=2, lora_alpha=3, target_modules="all-linear"), True),
    "pooler_saved": ("bert", SOME | dict(modules_to_save=["classifier", "pooler"]), True),
    "dense_saved": ("bert", SOME | dict(modules_to_save=["pooler.dense"]), False),
    "key_saved": ("bert", SOME | dict(modules_to_save=["layer.1.attention.self.key", "LayerNorm"]), True),
    "rslora": ("bert", SOME | dict(r=3, use_rslora=True), False),
    "patterns": (
        "bert",
        dict(
            r=2,
            lora_alpha=4,
            target_modules=["query", "value", "output.dense"],
            rank_pattern={"value": 1, r"layer\.1\..*query": 3},
            alpha_pattern={"bert.encoder.layer.0.attention.self.query": 5.5, "output.dense": 1},
        ),
        True,
    ),
    "patterns_rslora": (
        "roberta",
        dict(r=4, lora_alpha=2, target_modules=["query", "dense"], use_rslora=True,
             rank_pattern={"intermediate.dense": 2}, alpha_pattern={"query": 7}),
        False,
    ),
    "orthogonal": ("bert", SOME | dict(init_lora_weights="orthogonal"), False),
    "one_layer": (
        "bert",
        dict(r=1, lora_alpha=1, target_modules=["dense", "key"], layers_to_transform=[1], layers_pattern="layer",
             exclude_modules=["intermediate.dense"]),
        False,
    ),
    "by_expression": ("roberta", dict(r=2, lora_alpha=2, target_modules=r".*layer\.0.*\.(query|key)"), False),
    "embeddings_saved": ("bert", SOME, False),
}


def base(name):
    labels = load_file(FIXTURES / name / "expected.safetensors")["logits.base"].shape[1]
    config = AutoConfig.from_pretrained(FIXTURES / name / "model", num_labels=labels)
    return AutoModelForSequenceClassification.from_pretrained(FIXTURES / name / "model", config=config).eval()


expected = {}
for index, (case, (name, settings, gradients)) in enumerate(CASES.items()):
    torch.manual_seed(index)
    folder = FIXTURES / "adapters" / case
    model = get_peft_model(base(name), LoraConfig(task_type="SEQ_CLS", **settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
        if case == "embeddings_saved":
            model.get_input_embeddings().weight.add_(0.3)
    model.save_pretrained(folder, save_embedding_layers=case == "embeddings_saved")
    (folder / "README.md").unlink(missing_ok=True)
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": name}, indent=2) + "\n")
    # what counts is what a reader of the files gets
    model = PeftModel.from_pretrained(base(name), folder, is_trainable=True).eval()
    given = load_file(FIXTURES / name / "expected.safetensors")
    ids, types, lengths = (given[key] for key in ("input_ids", "token_type_ids", "lengths"))
    mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
    expected[f"{case}.logits"] = model(ids, attention_mask=mask, token_type_ids=types).logits.detach()
    if not gradients:
        continue
    named = {k: p for k, p in model.named_parameters() if p.requires_grad and p.dim() == 2}
    rows = {k: [] for k in named}
    for row, length in enumerate(lengths):
        model.zero_grad()
        one = (slice(row, row + 1), slice(length))
        model(ids[one], attention_mask=mask[one], token_type_ids=types[one],
              labels=given["labels"][row : row + 1]).loss.backward()
        for key, parameter in named.items():
            rows[key].append(parameter.grad.flatten().clone())
    expected |= {f"{case}.gradient.{key}": torch.stack(grads) for key, grads in rows.items()}
save_file({k: v.contiguous() for k, v in expected.items()}, FIXTURES / "adapters" / "expected.safetensors")
