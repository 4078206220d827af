"""
Ids of varied strings by Hugging Face's tokenizers library with SmolLM2's vocabulary.

    python test/oracle/tokenizer.py MODEL.gguf       rewrites test/golden/smollm2-tokenizer.json

Each entry: text, ids, and decoded where decoding with special tokens kept does not give the text back (dropped bytes).
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from gguf import GGUFReader

from smollm2_gguf import load_tokenizer

OUTPUT = Path(__file__).resolve().parents[1] / "golden" / "smollm2-tokenizer.json"

HAND_WRITTEN = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n \n", "\t", "\t\tx", " \t \n x", "\r\n", "a\r\nb", "trailing ", "trailing  ", "trailing\n",
    "Hello", "hello world", " hello  world ", "HELLO WORLD", "Hello, world!", "It's", "it'S", "I'll we've they're don't I'm he'd",
    "'s 't 're 've 'm 'll 'd", "IT'S DON'T", "’s curly ’ll", "o'clock", "''", "\"quoted\"", "...", "…", "!!??", "a-b_c.d/e\\f", "(a)[b]{c}<d>",
    "0", "7", "42", "123", "1234567890", "3.14159", "1,000,000", "1e-9", "0x1F", "v1.2.3", "2024-02-29", "12:30pm", "a1b2c3", "x²+y²=z²", "½ ⅓ Ⅷ ① ٣ ३ ৪",
    "$5.00", "50%", "#tag @user", "user@example.com", "https://example.com/a?b=c&d=%20#e", "C:\\Windows\\System32", "/usr/local/bin",
    "def f(x):\n    return x + 1\n", "for (int i = 0; i < n; ++i) {\n\ta[i] = b[i];\n}\n", "SELECT * FROM t WHERE a >= 1;", "if __name__ == '__main__':\n        main()",
    "{\"a\": [1, 2, {\"b\": null}]}", "<html><body class=\"x\">&amp;</body></html>", "\\frac{a}{b} \\sum_{i=0}^{n}", "```python\nprint('hi')\n```", "| a | b |\n|---|---|\n",
    "camelCaseIdentifier", "snake_case_identifier", "SCREAMING_SNAKE", "kebab-case-word", "a" * 100, "ab" * 60, " " * 40 + "x", "\n" * 12, "=" * 33, "-" * 80, "!" * 7,
    "Les élèves étudient à l'école.", "Größenmaßstäbe überprüfen", "¿Dónde está el baño?", "São Paulo não é a capital", "Pchnąć w tę łódź jeża", "Příliš žluťoučký kůň",
    "Съешь ещё этих мягких французских булок", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "안녕하세요 세계", "こんにちは世界", "你好，世界！", "繁體中文測試",
    "Việt Nam đất nước", "İstanbul ığüşöç", "Ελλάδα 2004", "Україна", "ქართული", "Հայերեն", "አማርኛ", "தமிழ்", "বাংলা", "ខ្មែរ",
    "🎉", "🚀🚀🚀", "👨‍👩‍👧‍👦", "👍🏽", "🇫🇷🇩🇪", "❤️", "☺️ ok", "a🎉b", "🤖 robot", "😀😁😂🤣😃😄", "⚡️⭐️", "𝕳𝖊𝖑𝖑𝖔", "𠜎𠜱", "ﷺ", "Z̷̧̛a̴l̵g̶o̷", "e\u0301 vs \u00e9", "\u200b zero \u200d width", "\ufeffbom",
    "non\u00a0breaking", "em\u2003space", "thin\u2009space \u3000ideographic", "line\u2028sep\u2029para", "nel\u0085x", "vt\x0bff\x0cx", "\u00ad soft", "nul\x00byte", "\x01\x02\x03\x05\x07\x08", "esc \x1b[31m", "\x7f",
    "\x04", "a\x06b", "\x13\x14", "\x16 \x1d", "private \ue000 use", "\U00010348 \U000e0041 \U00100000 high planes", "\ufffd replacement",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|endoftext|>", "a<|endoftext|>b", " <|im_end|> ", "<|im_start|><|im_start|>", "<|im_start", "im_start|>", "<|IM_START|>", "<|im_end|", "<|unknown|>",
    "<repo_name>x/y<file_sep>a.py\n", "<reponame><filename><gh_stars>100", "<issue_start><issue_comment><issue_closed>", "<jupyter_start><jupyter_text>t<jupyter_code>1+1<jupyter_output>2<jupyter_script>", "<empty_output>", "<empty_outpu>",
    "Ġ", "ĠĠ hello", "Ċ", "ÿ", "â€™", "Ã©", "naïve café", "straße", "ﬁne ﬂy", "ＦＵＬＬ ｗｉｄｔｈ", "№ ™ © ® ° µ", "← ↑ → ↓ ⇒ ∀x∈ℝ ∃y", "─│┌┐└┘├┤", "█▓▒░", "♠♥♦♣ ♪♫", "€£¥₹₿",
]  # fmt: skip

WORDS = (
    "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your which "
    "photosynthesis Mississippi quantum antidisestablishmentarianism kubernetes JavaScript PyTorch O'Reilly x86_64 3D 5G COVID-19 e.g. U.S.A. Ph.D. rock'n'roll"
).split()
SEPARATORS = [" ", "  ", "\n", ", ", ". ", "; ", " - ", "\t", "\n\n", "", "'", "…", " (", ") ", "/", "=", "\n    "]
ALPHABET = "abcXYZ019 \n\t.,'\"!?-_éßñжщ中文日本語한🎉🚀\u0301\u200d\u00a0"


def random_strings(rng: random.Random) -> list[str]:
    sentences = ["".join(rng.choice(WORDS) + rng.choice(SEPARATORS) for _ in range(rng.randint(3, 25))) for _ in range(120)]
    noise = ["".join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 40))) for _ in range(120)]
    wild = []
    while len(wild) < 60:
        codes = [rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x370, 0xD800), rng.randrange(0x1F300, 0x1FAFF)]) for _ in range(8)]
        wild.append("".join(map(chr, codes)))
    return sentences + noise + wild


def main() -> None:
    tokenizer = load_tokenizer(GGUFReader(sys.argv[1]))
    entries = []
    for text in [*HAND_WRITTEN, *random_strings(random.Random(7))]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        entries.append({"text": text, "ids": ids, **({} if decoded == text else {"decoded": decoded})})
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    OUTPUT.write_text(f"[\n{lines}\n]\n")
    lossy = sum("decoded" in entry for entry in entries)
    print(f"{len(entries)} strings, {sum(len(entry['ids']) for entry in entries)} ids, {lossy} that decoding does not give back")


if __name__ == "__main__":
    main()
