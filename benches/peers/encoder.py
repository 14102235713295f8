"""MiniLM as a sequence classifier in plain tensor functions, and its per-example LoRA gradients.

The weights come from transformers and PEFT, with LoRA merged: y = (W + s·B A) x + b. Query, key and value
are one product. The gradient δ of every example's own loss at each of these products is asked of autograd
directly; nothing below the first one, and no gradient of a weight, is computed. With x `[t, in]` and δ
`[t, out]` of one example:

  grad A = (s·δ B)ᵀ x,  grad B = δᵀ (s·x Aᵀ),  grad W_classifier = δᵀ pooled.
"""

import torch
import torch.nn.functional as F

TARGETS = ("query", "value")


def peft_model(folder, rank, dropout=0.0, encoder_dropout=None):
    """all-MiniLM-L6-v2 with two classes, and LoRA on query and value (α = 2r, A and B random)."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, logging

    logging.set_verbosity_error()
    settings = {}
    if encoder_dropout is not None:
        settings = dict(
            hidden_dropout_prob=encoder_dropout,
            attention_probs_dropout_prob=encoder_dropout,
            classifier_dropout=encoder_dropout,
        )
    torch.manual_seed(1)
    base = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, dtype=torch.float32, **settings
    )
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=dropout,
        target_modules=list(TARGETS),
    )
    model = get_peft_model(base, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.05 * torch.randn_like(parameter))
    return model


def wanted(model):
    """The parameters whose per-example gradients are taken, in order, by name."""
    found = {}
    for name, parameter in model.named_parameters():
        if "lora_" in name or name.endswith("classifier.modules_to_save.default.weight"):
            found[name] = parameter
    return found


class Encoder:
    """The merged weights, and what is needed to take gradients of the parts."""

    def __init__(self, model, first_token=False):
        # whether the last layer is computed at the first token alone, from which the pooler reads
        self.first_token = first_token
        base = model.base_model.model
        bert = base.bert
        config = bert.config
        self.hidden, self.heads = config.hidden_size, config.num_attention_heads
        self.device = bert.embeddings.word_embeddings.weight.device
        self.eps = config.layer_norm_eps
        take = lambda tensor: tensor.detach().clone().contiguous()
        linear = lambda module: (take(module.weight), take(module.bias))
        e = bert.embeddings
        self.words, self.positions = take(e.word_embeddings.weight), take(e.position_embeddings.weight)
        self.types, self.norm = take(e.token_type_embeddings.weight), linear(e.LayerNorm)
        self.pooler = linear(bert.pooler.dense)
        self.classifier = linear(base.classifier.modules_to_save["default"])
        self.layers = []
        for layer in bert.encoder.layer:
            attention = layer.attention.self
            weights, frozen, biases, down, up = [], [], [], [], []
            for name in ("query", "key", "value"):
                module = getattr(attention, name)
                if name in TARGETS:
                    a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
                    scale = module.scaling["default"]
                    weights.append(module.base_layer.weight + scale * b @ a)
                    frozen.append(module.base_layer.weight)
                    biases.append(module.base_layer.bias)
                    down.append(scale * a)
                    up.append(scale * b)
                else:
                    weights.append(module.weight)
                    frozen.append(module.weight)
                    biases.append(module.bias)
            h, r = self.hidden, down[0].shape[0]
            # δ of query, key and value side by side to s·δB of query and value side by side
            back = torch.zeros(3 * h, 2 * r, device=self.device)
            back[:h, :r], back[2 * h :, r:] = up[0].detach(), up[1].detach()
            self.rank = r
            self.layers.append(
                dict(
                    qkv=(take(torch.cat(weights)), take(torch.cat(biases))),
                    frozen=(take(torch.cat(frozen)), take(torch.cat(biases))),
                    a=[take(part / scale) for part in down],
                    b=[take(part / scale) for part in up],
                    scale=scale,
                    down=take(torch.cat(down)),
                    back=back,
                    out=linear(layer.attention.output.dense),
                    norm1=linear(layer.attention.output.LayerNorm),
                    ffn1=linear(layer.intermediate.dense),
                    ffn2=linear(layer.output.dense),
                    norm2=linear(layer.output.LayerNorm),
                )
            )

    def buffers(self, n, device=None):
        """Zeros `[n, …]` for every wanted gradient, in the order of `wanted`; on the model's device by default."""
        h, r = self.hidden, self.rank
        shapes = [(r, h), (h, r)] * (len(TARGETS) * len(self.layers)) + [(2, h)]
        return [torch.zeros(n, *shape, device=device or self.device) for shape in shapes]

    def embed(self, ids, types):
        x = F.embedding(ids, self.words) + self.positions[: ids.shape[1]]
        x = x + (self.types[0] if types is None else F.embedding(types, self.types))
        return F.layer_norm(x, (self.hidden,), *self.norm, self.eps)

    def layer(self, index, x, qkv, mask):
        """What follows the product of query, key and value in a layer, `[n, t, h]` to `[n, t, h]`."""
        layer, (n, t, h) = self.layers[index], x.shape
        q, k, v = qkv.view(n, t, 3, self.heads, h // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.first_token and index == len(self.layers) - 1:
            q, x = q[:, :, :1], x[:, :1]
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        context = context.transpose(1, 2).reshape(n, -1, h)
        x = F.layer_norm(F.linear(context, *layer["out"]) + x, (h,), *layer["norm1"], self.eps)
        wide = F.gelu(F.linear(x, *layer["ffn1"]))
        return F.layer_norm(F.linear(wide, *layer["ffn2"]) + x, (h,), *layer["norm2"], self.eps)

    def forward(self, ids, labels, types=None, mask=None):
        """Losses `[n]`, the products at which δ is wanted and their inputs; `mask` is true on tokens."""
        with torch.no_grad():
            x = self.embed(ids, types)
        mask = None if mask is None else mask[:, None, None, :]
        sites, inputs = [], []
        for index, layer in enumerate(self.layers):
            qkv = F.linear(x, *layer["qkv"])
            if index == 0:
                qkv.requires_grad_()
            sites.append(qkv)
            inputs.append(x)
            x = self.layer(index, x, qkv, mask)
        pooled = torch.tanh(F.linear(x[:, 0], *self.pooler))
        sites.append(F.linear(pooled, *self.classifier))
        inputs.append(pooled)
        return F.cross_entropy(sites[-1], labels, reduction="none"), sites, inputs

    def gradients(self, ids, labels, out, types=None, mask=None):
        """Per-example gradients into the views `out` `[n, …]`; returns the losses."""
        losses, sites, inputs = self.forward(ids, labels, types, mask)
        self.products(inputs, torch.autograd.grad(losses.sum(), sites), out)
        return losses.detach()

    @torch.no_grad()
    def products(self, inputs, deltas, out):
        """The gradients from the inputs x and the δ of all products, into `out`."""
        h, r = self.hidden, self.rank
        for index, layer in enumerate(self.layers):
            x, delta = inputs[index].detach(), deltas[index]
            low = F.linear(x, layer["down"])
            back = (delta @ layer["back"]).transpose(1, 2)
            for which, part in enumerate((0, 2)):
                cut = slice(which * r, (which + 1) * r)
                a, b = out[4 * index + 2 * which : 4 * index + 2 * which + 2]
                torch.bmm(back[:, cut], x, out=a)
                torch.bmm(delta[..., part * h : (part + 1) * h].transpose(1, 2), low[..., cut], out=b)
        torch.bmm(deltas[-1].unsqueeze(2), inputs[-1].detach().unsqueeze(1), out=out[-1])


def one_at_a_time(model, examples):
    """The obvious way: backward of every example's loss, gradients copied, `[n, …]` by parameter.

    `examples` yields dictionaries of tensors of one example each, with `labels`.
    """
    named = wanted(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in named.values():
        parameter.requires_grad_(True)
    rows = [[] for _ in named]
    for example in examples:
        model.zero_grad()
        model(**example).loss.backward()
        for row, parameter in zip(rows, named.values()):
            row.append(parameter.grad.clone())
    return [torch.stack(row) for row in rows]
