"""Records the ids and token types that transformers gives for small tokenizers in every form they come in.

    python scripts/parity/tokens.py tests/fixtures/tokenizers

Writes `cases.json`: files (`files`), texts, and cases: which files a checkpoint has, its settings, and for every
text the ids and types of `AutoTokenizer` called with `truncation=True, max_length=N`, or `"error": true` where
transformers refuses. Some cases are written by hand, the others are random choices of settings. And
`pairs.txt`: for 1,000 random pairs the seed and lengths of the texts (see `words`), and the 32-bit FNV-1a hashes
of their ids at 16 and at 32 tokens.
"""

import json
import random
import sys
import tempfile
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer
from transformers.models.roberta.tokenization_roberta import bytes_to_unicode

OUT = Path(sys.argv[1])
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word_piece_vocabulary():
    letters = list(LETTERS + LETTERS.upper() + "éÉ好.!")
    return SPECIAL + letters + ["##" + letter for letter in letters] + ["he", "##llo", "Mask", "new"]


def special_added(ids, **rules):
    return [
        {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True} | rules
        for t, i in ids.items()
    ]


def bert(lowercase=True, added=True, accents=None):
    vocabulary = {token: i for i, token in enumerate(word_piece_vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    file = json.loads(tokenizer.to_str())
    if added:
        file["added_tokens"] = special_added({t: vocabulary[t] for t in SPECIAL})
    return file


ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
MERGES = ["Ġ t", "h e", "Ġt he", "l l", "he ll", "hell o", "Ġ hello"]


def byte_level_vocabulary():
    tokens = ROBERTA_SPECIAL + sorted(bytes_to_unicode().values())
    tokens += [merge.replace(" ", "") for merge in MERGES] + ["<mask>"]
    return {token: i for i, token in enumerate(tokens)}


def roberta(prefix=False, truncation=None):
    vocabulary = byte_level_vocabulary()
    merges = [tuple(merge.split()) for merge in MERGES]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", 2), cls=("<s>", 0), add_prefix_space=prefix
    )
    if truncation:
        tokenizer.enable_truncation(max_length=7, direction=truncation)
    file = json.loads(tokenizer.to_str())
    file["added_tokens"] = special_added({t: vocabulary[t] for t in ROBERTA_SPECIAL})
    file["added_tokens"] += special_added({"<mask>": vocabulary["<mask>"]}, lstrip=True)
    return file


def gpt2(first=pre_tokenizers.Digits(individual_digits=True), regex=True, special=("<|endoftext|>", "<|im_end|>")):
    """Byte-level BPE as SmolLM2 has it (digits by themselves), or with a regular expression, as Llama 3 and Qwen2."""
    tokens = [*special, *sorted(bytes_to_unicode().values()), *(merge.replace(" ", "") for merge in MERGES)]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(merge.split()) for merge in MERGES]))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    return json.loads(tokenizer.to_str()) | {"added_tokens": special_added({t: vocabulary[t] for t in special})}


def llama3():
    expression = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    file = gpt2(pre_tokenizers.Split(Regex(expression), "isolated"), False, ("<s>", "</s>"))
    file["post_processor"] = json.loads(
        processors.TemplateProcessing(single="<s>:0 $A:0", pair="<s>:0 $A:0 <s>:1 $B:1", special_tokens=[("<s>", 0)])
        .__getstate__()
    )
    return file


def llama(normalizer=True):
    """SentencePiece BPE with byte fallback, as Llama 2 and Mistral have it."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *LETTERS]
    merges = ["\u2581 t", "h e", "\u2581t he", "l l", "he ll", "hell o", "\u2581 hello"]
    tokens += [merge.replace(" ", "") for merge in merges]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    pairs = [tuple(merge.split()) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme="first", split=False)
    return json.loads(tokenizer.to_str()) | {"added_tokens": special_added({"<unk>": 0, "<s>": 1, "</s>": 2})}


def no_normalizer():
    return bert() | {"normalizer": None}


def lower_normalizer():
    return bert() | {"normalizer": {"type": "Lowercase"}}


FILES = {
    "bert": bert(),
    "bert_cased": bert(lowercase=False),
    "bert_accents": bert(accents=False),
    "bert_bare": bert(added=False),
    "bert_no_normalizer": no_normalizer(),
    "bert_lower": lower_normalizer(),
    "roberta": roberta(),
    "roberta_prefix": roberta(prefix=True),
    "roberta_left": roberta(truncation="left"),
    "gpt2": gpt2(),
    "llama3": llama3(),
    "llama": llama(),
    "llama_first": llama(normalizer=False),
    "vocab_txt": "".join(token + "\n" for token in word_piece_vocabulary()),
    "vocab_txt_windows": "\r\n".join(word_piece_vocabulary()),
    "vocab_txt_twice": "".join(t + "\n" for t in word_piece_vocabulary() + ["a", "", "ok"]),
    "vocab_json": json.dumps(byte_level_vocabulary(), ensure_ascii=False),
    "merges_txt": "#version: 0.2\n" + "".join(merge + "\n" for merge in MERGES),
    "merges_txt_bare": "\n".join(MERGES[:1] + MERGES[:3] + MERGES[1:]),
}
TEXTS = [
    ["Hello [MASK] wörld, he said!", None],
    ["[mask] É é 好x", "the Mask of [UNK] New new"],
    [" hello  the <mask> hello", "the<mask>the </s> <pad> x"],
    ["a b c d e f g h i j k l m n o p q", "A B C D E F G H I J K L M N O P Q R S T"],
    ["a b c d e f g h i j k l m n o p q r s t u v w x y z", "x"],
    ["naïve café 🙂 \u00a0tab\there", "hello"],
]
CONFIG = {
    "vocab_size": 400, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1,
    "intermediate_size": 4, "max_position_embeddings": 64, "type_vocab_size": 2,
}


def record(case):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        config = CONFIG | {"model_type": case["family"]} | case.get("config", {})
        (folder / "config.json").write_text(json.dumps(config))
        for name, key in case["files"].items():
            text = FILES[key]
            text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            (folder / name).write_bytes(text.encode())
        for name, settings in case.get("settings", {}).items():
            (folder / name).write_text(json.dumps(settings, ensure_ascii=False))
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            ids, types = [], []
            for first, second in TEXTS:
                both = ([first],) if second is None else ([first], [second])
                batch = tokenizer(*both, truncation=True, max_length=case["max_length"])
                ids.append(batch["input_ids"][0])
                types.append(batch.get("token_type_ids", [[0] * len(ids[-1])])[0])
        except Exception as error:  # whatever it is, transformers does not open it
            print(f"{case['name']}: {type(error).__name__}: {str(error)[:100]!r}")
            return case | {"error": True}
    if not any(map(any, types)):
        types = []
    return case | {"ids": ids, "types": types}


def by_hand():
    token = {"__type": "AddedToken", "lstrip": True, "rstrip": False, "single_word": False, "normalized": True}
    decoder = {
        str(i): {"content": t, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False,
                 "special": True}
        for i, t in enumerate(SPECIAL)
    }
    word = {"content": "New", "lstrip": False, "rstrip": False, "single_word": True, "normalized": True,
            "special": False}
    cased = {"do_lower_case": False}
    json_of = lambda file: {"tokenizer.json": file}
    older = {"vocab.json": "vocab_json", "merges.txt": "merges_txt"}
    for name, family, files, settings, *rest in [
        ("as it is", "bert", json_of("bert"), None),
        ("no settings lower-case a cased file", "bert", json_of("bert_cased"), None),
        ("cased", "bert", json_of("bert"), cased),
        ("accents kept", "bert", json_of("bert"), {"strip_accents": False}),
        ("accents stripped, case kept", "bert", json_of("bert"), cased | {"strip_accents": True}),
        ("accents default again", "bert", json_of("bert_accents"), {}),
        ("accents null", "bert", json_of("bert_accents"), {"strip_accents": None}),
        ("Chinese not split", "bert", json_of("bert"), {"tokenize_chinese_chars": False}),
        ("another normaliser keeps its case", "bert", json_of("bert_lower"), cased),
        ("no normaliser", "bert", json_of("bert_no_normalizer"), {}),
        ("no normaliser, generic", "bert", json_of("bert_no_normalizer"),
         {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("generic ignores case", "bert", json_of("bert_cased"), {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("generic by its slow name", "bert", json_of("bert_cased"), {"tokenizer_class": "PreTrainedTokenizer"}),
        ("DistilBERT gives no types", "bert", json_of("bert"), {"tokenizer_class": "DistilBertTokenizer"}),
        ("Electra", "bert", json_of("bert"), {"tokenizer_class": "ElectraTokenizerFast"} | cased),
        ("a class that is slow only", "bert", json_of("bert"), {"tokenizer_class": "BertJapaneseTokenizer"}),
        ("class of config.json", "bert", json_of("bert_cased"), None,
         {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("names without types", "bert", json_of("bert"), {"model_input_names": ["input_ids", "attention_mask"]}),
        ("names with types", "bert", json_of("bert"),
         {"tokenizer_class": "DistilBertTokenizer", "model_input_names": ["input_ids", "token_type_ids"]}),
        ("left cut", "bert", json_of("bert"), {"truncation_side": "left"}),
        ("padding side", "bert", json_of("bert"), {"padding_side": "left"}),
        ("padding side up", "bert", json_of("bert"), {"padding_side": "up"}),
        ("truncation side up", "bert", json_of("bert"), {"truncation_side": "up"}),
        ("no special tokens in the file", "bert", json_of("bert_bare"), {}),
        ("mask null", "bert", json_of("bert_bare"), {"mask_token": None}),
        ("mask with rules", "bert", json_of("bert_bare"), {"mask_token": token | {"content": "[MASK]"}}),
        ("mask with rules, no type", "bert", json_of("bert_bare"), {"mask_token": {"content": "[MASK]"}}),
        ("another mask", "bert", json_of("bert"), {"mask_token": "Mask"}),
        ("additional tokens", "bert", json_of("bert"), {"additional_special_tokens": ["Mask", "zz"]}),
        ("extra tokens", "bert", json_of("bert"), {"extra_special_tokens": {"image_token": "New"}}),
        ("special tokens split", "bert", json_of("bert"), {"split_special_tokens": True}),
        ("case null", "bert", json_of("bert"), {"do_lower_case": None}),
        ("case is a text", "bert", json_of("bert"), {"do_lower_case": "false"}),
        ("decoder", "bert", json_of("bert"), {"added_tokens_decoder": decoder | {"120": word}}),
        ("decoder, cased", "bert", json_of("bert"), {"added_tokens_decoder": decoder | {"120": word}} | cased),
        ("never_split is not heeded", "bert", json_of("bert"), {"never_split": ["Hello"]}),
        ("special tokens map", "bert", json_of("bert"), {},
         {}, {"special_tokens_map.json": {"mask_token": "Mask", "additional_special_tokens": ["New"]}}),
        ("special tokens map after decoder", "bert", json_of("bert"), {"added_tokens_decoder": decoder},
         {}, {"special_tokens_map.json": {"mask_token": "Mask"}}),
        ("added tokens", "bert", json_of("bert"), {}, {}, {"added_tokens.json": {"New": 120, "Mask": 118}}),
        ("added tokens, special", "bert", json_of("bert"), {"mask_token": "Mask"} | cased,
         {}, {"added_tokens.json": {"New": 120, "Mask": 118}}),
        ("vocab.txt", "bert", {"vocab.txt": "vocab_txt"}, None),
        ("vocab.txt, cased", "bert", {"vocab.txt": "vocab_txt"}, cased),
        ("vocab.txt, accents", "bert", {"vocab.txt": "vocab_txt"}, {"strip_accents": False}),
        ("vocab.txt, not basic", "bert", {"vocab.txt": "vocab_txt"}, {"do_basic_tokenize": False}),
        ("vocab.txt of Windows", "bert", {"vocab.txt": "vocab_txt_windows"}, None),
        ("vocab.txt with a token twice", "bert", {"vocab.txt": "vocab_txt_twice"}, None),
        ("vocab.txt, additional tokens", "bert", {"vocab.txt": "vocab_txt"},
         {"additional_special_tokens": ["Mask"]}, {}, {"added_tokens.json": {"New": 120}}),
        ("vocab.txt, DistilBERT", "bert", {"vocab.txt": "vocab_txt"}, {"tokenizer_class": "DistilBertTokenizer"}),
        ("vocab.txt beside tokenizer.json", "bert", {"vocab.txt": "vocab_txt_twice", "tokenizer.json": "bert"}, {}),
        ("vocab.txt preferred", "bert", {"vocab.txt": "vocab_txt_twice", "tokenizer.json": "bert"},
         {"tokenizer_file": None}),
        ("vocab.txt, generic", "bert", {"vocab.txt": "vocab_txt"}, {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("RoBERTa", "roberta", json_of("roberta"), None),
        ("RoBERTa with a space", "roberta", json_of("roberta"), {"add_prefix_space": True}),
        ("RoBERTa without its space", "roberta", json_of("roberta_prefix"), None),
        ("RoBERTa space null", "roberta", json_of("roberta_prefix"), {"add_prefix_space": None}),
        ("generic without its space", "roberta", json_of("roberta_prefix"),
         {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("RoBERTa offsets", "roberta", json_of("roberta"), {"trim_offsets": False}),
        ("RoBERTa cut left in its file", "roberta", json_of("roberta_left"), None),
        ("RoBERTa cut right", "roberta", json_of("roberta_left"), {"truncation_side": "right"}),
        ("RoBERTa with types", "roberta", json_of("roberta"),
         {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}),
        ("RoBERTa with BERT's tokenizer", "roberta", json_of("bert"), {"tokenizer_class": "BertTokenizer"}),
        ("BERT with RoBERTa's tokenizer", "bert", json_of("roberta"), {"tokenizer_class": "RobertaTokenizer"}),
        ("RoBERTa special split", "roberta", json_of("roberta"), {"split_special_tokens": True}),
        ("merges", "roberta", older, None),
        ("merges with a space", "roberta", older, {"add_prefix_space": True, "truncation_side": "left"}),
        ("merges without header or end", "roberta", older | {"merges.txt": "merges_txt_bare"}, None),
        ("vocab.json alone", "roberta", {"vocab.json": "vocab_json"}, None),
        ("nothing", "bert", {}, None),
        ("GPT-2's class", "llama", json_of("gpt2"), {"tokenizer_class": "GPT2Tokenizer"}),
        ("GPT-2's class with a space", "llama", json_of("gpt2"),
         {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True}),
        ("GPT-2's class with RoBERTa's file", "llama", json_of("roberta"),
         {"tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True}),
        ("GPT-2's class, other tokens", "llama", json_of("gpt2"),
         {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|im_end|>", "bos_token": "the"}),
        ("GPT-2 by family", "gpt2", json_of("gpt2"), None),
        ("Qwen2 by family", "qwen2", json_of("gpt2"), None),
        ("Qwen3 by family", "qwen3", json_of("gpt2"), {}),
        ("Qwen2's class", "qwen2", json_of("gpt2"),
         {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}),
        ("Qwen2's class, token without rules", "qwen2", json_of("gpt2"),
         {"tokenizer_class": "Qwen2TokenizerFast", "pad_token": "the", "bos_token": "hello", "add_prefix_space": True}),
        ("Llama 3", "llama", json_of("llama3"), {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}),
        ("Llama 3 with Llama's class", "llama", json_of("llama3"),
         {"tokenizer_class": "LlamaTokenizerFast", "add_eos_token": True}),
        ("Llama 3, cut left", "llama", json_of("llama3"),
         {"tokenizer_class": "PreTrainedTokenizerFast", "truncation_side": "left"}),
        ("Llama by family", "llama", json_of("llama"), None),
        ("Mistral by family", "mistral", json_of("llama"), {"add_bos_token": True, "add_eos_token": False}),
        ("Llama's class without BOS", "llama", json_of("llama"),
         {"tokenizer_class": "LlamaTokenizer", "add_bos_token": False}),
        ("Llama's class with EOS", "llama", json_of("llama"),
         {"tokenizer_class": "LlamaTokenizer", "add_eos_token": True, "legacy": False}),
        ("Llama's class, BOS null", "llama", json_of("llama"), {"tokenizer_class": "LlamaTokenizer", "bos_token": None}),
        ("Llama's class, no BOS at all", "llama", json_of("llama"),
         {"tokenizer_class": "LlamaTokenizer", "bos_token": None, "add_bos_token": False}),
        ("Llama's class, padding added", "llama", json_of("llama"),
         {"tokenizer_class": "LlamaTokenizer", "pad_token": "[PAD]", "truncation_side": "left"}),
        ("Llama's class, first space", "llama", json_of("llama_first"),
         {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_prefix_space": None}),
        ("Llama's file, generic", "llama", json_of("llama"),
         {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": True, "bos_token": "<s>"}),
        ("Llama's files missing", "llama", {}, None),
    ]:
        config, more = (rest + [{}, {}])[:2]
        all_settings = dict(more)
        if settings is not None:
            all_settings["tokenizer_config.json"] = settings
        yield {"name": name, "family": family, "files": files, "config": config, "settings": all_settings,
               "max_length": 16}


def at_random(rng, count):
    for index in range(count):
        settings = {}
        word_piece = rng.random() < 0.65
        if word_piece:
            files = rng.choice([{"tokenizer.json": name} for name in
                                ("bert", "bert_cased", "bert_accents", "bert_bare", "bert_lower")]
                               + [{"vocab.txt": "vocab_txt"}, {"vocab.txt": "vocab_txt_twice"}])
            classes = [None, "BertTokenizer", "DistilBertTokenizer"]
            words = ["Mask", "New", "he", "[UNK]", "好", "Hello"]
        else:
            files = rng.choice([{"tokenizer.json": name} for name in ("roberta", "roberta_prefix", "roberta_left")]
                               + [{"vocab.json": "vocab_json", "merges.txt": "merges_txt"}])
            classes = [None, "RobertaTokenizer", "RobertaTokenizerFast"]
            words = ["the", "hello", "Mask", "<unk>", "x"]
        if "tokenizer.json" in files:
            classes.append("PreTrainedTokenizerFast")
        tokenizer_class = rng.choice(classes)
        if tokenizer_class:
            settings["tokenizer_class"] = tokenizer_class
        for name, values in [
            ("do_lower_case", [True, False]),
            ("strip_accents", [None, True, False]),
            ("tokenize_chinese_chars", [True, False]),
            ("add_prefix_space", [True, False]),
            ("truncation_side", ["left", "right"]),
            ("split_special_tokens", [True, False]),
            ("model_input_names", [["input_ids"], ["input_ids", "token_type_ids"]]),
            ("mask_token", words),
            ("additional_special_tokens", [rng.sample(words, 2)]),
        ]:
            if rng.random() < 0.3:
                settings[name] = rng.choice(values)
        more = {}
        if rng.random() < 0.3:
            rules = {rule: rng.random() < 0.5 for rule in ("lstrip", "rstrip", "single_word", "normalized")}
            more["special_tokens_map.json"] = {"mask_token": {"content": rng.choice(words)} | rules}
        if rng.random() < 0.3:
            more["added_tokens.json"] = {word: 300 + i for i, word in enumerate(rng.sample(words, 2))}
        if rng.random() < 0.3:
            settings["added_tokens_decoder"] = {
                str(300 + i): {"content": word} | {rule: rng.random() < 0.5 for rule in
                                                   ("lstrip", "rstrip", "single_word", "normalized", "special")}
                for i, word in enumerate(rng.sample(words, 2))
            }
        yield {"name": f"random {index}", "family": "bert" if word_piece else "roberta", "files": files,
               "config": {}, "settings": more | {"tokenizer_config.json": settings},
               "max_length": rng.choice([8, 9, 16, 33])}


def words(seed, tokens):
    """Random words of one to four letters with `tokens` letters in all; every letter is a token."""
    state, text, left = seed, [], 0
    for _ in range(tokens):
        state = (state * 1103515245 + 12345) % 2**31
        if left == 0:
            text.append("")
            left = 1 + (state >> 16) % 4
        left -= 1
        text[-1] += LETTERS[(state >> 8) % 26]
    return " ".join(text)


def fnv(ids):
    value = 0x811C9DC5
    for i in ids:
        for byte in i.to_bytes(4, "little"):
            value = (value ^ byte) * 0x01000193 % 2**32
    return f"{value:08x}"


if __name__ == "__main__":
    rng = random.Random(1)
    cases = [record(case) for case in [*by_hand(), *at_random(rng, int(sys.argv[2]) if len(sys.argv) > 2 else 60)]]
    files = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in FILES.items()}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    head = json.dumps({"files": files, "texts": TEXTS, "base": CONFIG}, ensure_ascii=False, separators=(",", ":"))
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "cases.json").write_text(head[:-1] + ',"cases":[\n' + lines + "\n]}\n")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "bert"}))
        (folder / "tokenizer.json").write_text(files["bert"])
        tokenizer = AutoTokenizer.from_pretrained(folder)
        rows = []
        for seed in range(1000):
            lengths = [rng.randint(1, 40), rng.randint(1, 40)]
            first, second = words(seed, lengths[0]), words(seed + 5000, lengths[1])
            ids = [tokenizer([first], [second], truncation=True, max_length=n)["input_ids"][0] for n in (16, 32)]
            rows.append(f"{lengths[0]} {lengths[1]} {fnv(ids[0])} {fnv(ids[1])}\n")
        (OUT / "pairs.txt").write_text("".join(rows))
