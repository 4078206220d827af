"""The prompts of the SmolLM2 golden: chat and plain text, several languages, code, mathematics, short and long."""

from __future__ import annotations

CHAT: list[list[dict[str, str]]] = [
    [{"role": "user", "content": content}]
    for content in (
        "A pizza is divided into 8 slices. If 3 people eat 2 slices each, how many slices are left?",
        "What is the capital of France?",
        "Write a haiku about the sea.",
        "Explain in two sentences why the sky is blue.",
        "List five uses for an old newspaper.",
        "Translate to Spanish: The library closes at nine o'clock.",
        "What is 17 * 23? Show your steps.",
        "Write a Python function that returns the n-th Fibonacci number.",
        "Give me a recipe for pancakes with exact amounts.",
        "Who wrote 'Pride and Prejudice', and when was it published?",
        "Qu'est-ce que la photosynthèse ?",
        "Was ist der Unterschied zwischen Wetter und Klima?",
        "用中文介绍一下你自己。",
        "Кто такой Юрий Гагарин?",
        "こんにちは。日本の首都はどこですか？",
    )
] + [
    [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Introduce yourself in JSON briefly."},
    ],
    [
        {"role": "system", "content": "You are a pirate. Answer in pirate speech."},
        {"role": "user", "content": "How do I learn to swim?"},
    ],
    [
        {"role": "user", "content": "My name is Ada and I like trains."},
        {"role": "assistant", "content": "Nice to meet you, Ada! Trains are fascinating."},
        {"role": "user", "content": "What is my name, and what do I like?"},
    ],
    [
        {"role": "user", "content": "Fix the bug:\n```c\nfor (int i = 0; i <= n; i++) sum += a[i];\n```"},
    ],
]

PLAIN: list[str] = [
    "Once upon a time",
    "The",
    "def quicksort(items):\n    ",
    "#include <stdio.h>\n\nint main(void) {\n",
    "SELECT name, COUNT(*) FROM orders",
    "The first ten prime numbers are 2, 3, 5,",
    "In 1969, the Apollo 11 mission",
    "Les trois plus grandes villes de France sont",
    '{"name": "Grace Hopper", "born": 1906, "field":',
    "| Planet | Moons |\n|---|---|\n| Earth | 1 |\n| Mars |",
    "Emoji test 🎉🚀: the party starts at",
]


def report(n_days: int) -> str:
    """A log of made-up weather, a question at its end: a long prompt in which no two lines are the same."""
    skies = ["clear", "cloudy", "rainy", "windy", "foggy", "stormy", "snowy"]
    lines = [
        f"Day {day}: the station at hill {day * 7 % 23} measured {(day * 37) % 41 - 8} degrees, {skies[day * 5 % 7]} sky, "
        f"wind {day * 13 % 60} km/h from the {['north', 'east', 'south', 'west'][day * 3 % 4]}."
        for day in range(1, n_days + 1)
    ]
    return "\n".join(lines)


LONG: list[str | list[dict[str, str]]] = [
    report(18) + "\n\nIn short, the weather was",
    [{"role": "user", "content": report(19) + "\n\nSummarise these observations in three sentences."}],
    # About 1,400 tokens: many blocks of KV, several chunks of prefill.
    report(43) + "\n\nThe report ends here. The next day, the station",
]
