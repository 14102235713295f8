"""Fine-tunes a tiny causal language model with transformers' Trainer and PEFT, for the test that infbench does the same.

    python scripts/parity/trainer.py tests/fixtures/llama/mha tests/fixtures/trainer

Needs transformers 4.57.1, PEFT 0.18 and accelerate. The first folder is made by `scripts/parity/llama.py`: `model/` and
`adapter/`, where the fine-tune starts. 21 random texts in batches of 2, three of them accumulated to a step: four steps an
epoch, of which the last has two batches, one of them of a single text. AdamW, linear decay, every dropout 0, gradients no
longer than `max_grad_norm`. Writes `examples.json` (ids, and how many tokens of the beginning are no target) and
`trained.safetensors`: the adapter after one epoch for each case, computed in float64, stored as float32.
  all     loss of all tokens
  answer  loss of the last tokens of every text, gradients clipped
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from transformers.models.llama.modeling_llama import LlamaRMSNorm

CASES = dict(all=dict(max_grad_norm=0.0), answer=dict(max_grad_norm=0.05))
folder, out = map(Path, sys.argv[1:])


def norm(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


LlamaRMSNorm.forward = norm
generator = torch.Generator().manual_seed(1)
lengths = torch.randint(4, 12, (21,), generator=generator).tolist()
ids = [torch.randint(3, 40, (length,), generator=generator).tolist() for length in lengths]
prompts = [int(torch.randint(2, length, (1,), generator=generator)) for length in lengths]


class InOrder(Trainer):
    def _get_train_sampler(self, *_):
        return SequentialSampler(self.train_dataset)


def collate(batch):
    longest = max(len(example["ids"]) for example in batch)

    def padded(values, value):
        return torch.tensor([v + [value] * (longest - len(v)) for v in values])

    return dict(
        input_ids=padded([e["ids"] for e in batch], 0),
        attention_mask=padded([[1] * len(e["ids"]) for e in batch], 0),
        labels=padded([[-100] * e["skip"] + e["ids"][e["skip"] :] for e in batch], -100),
    )


trained = {}
for case, options in CASES.items():
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float64)
    model = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).to(torch.float64)
    skips = prompts if case == "answer" else [0] * len(ids)
    data = [dict(ids=i, skip=skip) for i, skip in zip(ids, skips)]
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=2,
        gradient_accumulation_steps=3,
        num_train_epochs=1,
        learning_rate=3e-3,
        lr_scheduler_type="linear",
        weight_decay=0.01,
        optim="adamw_torch",
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        remove_unused_columns=False,
        disable_tqdm=True,
        **options,
    )
    trainer = InOrder(model=model, args=arguments, train_dataset=data, data_collator=collate)
    result = trainer.train()
    print(case, result.global_step, "steps, loss", result.training_loss, "accepts", trainer.model_accepts_loss_kwargs)
    state = get_peft_model_state_dict(model)
    trained |= {f"{case}.{name}": value.detach().float().contiguous() for name, value in state.items()}
save_file(trained, out / "trained.safetensors")
(out / "examples.json").write_text(json.dumps(dict(input_ids=ids, prompts=prompts)) + "\n")
