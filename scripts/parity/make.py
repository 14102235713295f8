"""Makes the fixtures of the parity tests: tiny random BERT and RoBERTa models with PEFT adapters.

    python -m venv /tmp/parity && /tmp/parity/bin/pip install -r scripts/parity/requirements.txt
    /tmp/parity/bin/python scripts/parity/make.py tests/fixtures/parity

Writes one folder a case: `model/` (Hugging Face layout), `adapter/` (PEFT layout) and
`expected.safetensors`: token ids, token types and lengths of a padded batch, labels, the logits of the
padded batch with and without adapter, and, one example at a time, losses and the gradients of every LoRA
matrix and of the head, named as PyTorch names the parameters. All in eval mode, float32.
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

SIZES = dict(
    vocab_size=60,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
)
CASES = {
    "bert": dict(
        config=BertConfig(**SIZES, max_position_embeddings=12, num_labels=3),
        model=BertForSequenceClassification,
        lora=dict(r=2, lora_alpha=4, target_modules=["query", "key", "value", "dense"], exclude_modules=r".*pooler.*"),
        types=True,
    ),
    "bert_relu": dict(
        config=BertConfig(**SIZES, max_position_embeddings=12, hidden_act="relu", layer_norm_eps=1e-3),
        model=BertForSequenceClassification,
        lora=dict(r=3, lora_alpha=3, target_modules=["value"]),
        types=True,
    ),
    "roberta": dict(
        config=RobertaConfig(
            **SIZES,
            max_position_embeddings=14,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            hidden_act="gelu_new",
        ),
        model=RobertaForSequenceClassification,
        lora=dict(r=4, lora_alpha=2, target_modules=["query", "value"], layers_to_transform=[1]),
        types=False,
    ),
}
LENGTHS = [3, 9, 1, 12, 7]


def make(folder, config, model, lora, types):
    torch.manual_seed(1)
    model = model(config).eval()
    with torch.no_grad():  # normalisations and biases that are not 1 and 0, weights that matter
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder / "model")
    ids = torch.randint(3, config.vocab_size, (len(LENGTHS), max(LENGTHS)))
    mask = torch.zeros_like(ids)
    kinds = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        mask[row, :length] = 1
        ids[row, length:] = config.pad_token_id
        if types:
            kinds[row, length // 2 : length] = 1
    labels = torch.randint(0, config.num_labels, (len(LENGTHS),))
    out = {
        "input_ids": ids,
        "token_type_ids": kinds,
        "lengths": torch.tensor(LENGTHS),
        "labels": labels,
        "logits.base": model(ids, attention_mask=mask, token_type_ids=kinds).logits.detach(),
    }
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", lora_dropout=0.0, **lora)).eval()
    named = {k: p for k, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in named.values():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder / "adapter")
    out["logits.adapter"] = model(ids, attention_mask=mask, token_type_ids=kinds).logits.detach()
    heads = ("modules_to_save.default.weight", "modules_to_save.default.out_proj.weight")
    wanted = {k: p for k, p in named.items() if "lora_" in k or k.endswith(heads)}
    losses, rows = [], {name: [] for name in wanted}
    for row, length in enumerate(LENGTHS):
        model.zero_grad()
        one = slice(row, row + 1)
        loss = model(
            ids[one, :length],
            attention_mask=mask[one, :length],
            token_type_ids=kinds[one, :length],
            labels=labels[one],
        ).loss
        loss.backward()
        losses.append(loss.detach())
        for name, parameter in wanted.items():
            rows[name].append(parameter.grad.flatten().clone())
    out["losses"] = torch.stack(losses)
    out |= {f"gradient.{name}": torch.stack(grads) for name, grads in rows.items()}
    save_file({k: v.contiguous() for k, v in out.items()}, folder / "expected.safetensors")
    for extra in ("README.md",):
        (folder / "adapter" / extra).unlink(missing_ok=True)


if __name__ == "__main__":
    for name, case in CASES.items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, **case)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{folder}: {size} bytes")
