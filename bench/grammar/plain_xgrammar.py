"""The plain xgrammar package on a corpus, as bench/grammar/corpus.mjs has laid it out: argv is input.json output.json."""

import json
import signal
import sys
import time

import xgrammar

SECONDS = 10


def give_up(_signal, _frame):
    raise TimeoutError(f"more than {SECONDS} s")


def passes(compiled, tests, encoded):
    """(wrongly accepted, wrongly rejected)"""
    wrong = [0, 0]
    for test, tokens in zip(tests, encoded):
        matcher = xgrammar.GrammarMatcher(compiled)
        accepted = all(matcher.accept_token(token) for token in tokens) and matcher.is_terminated()
        if accepted != test["valid"]:
            wrong[0 if accepted else 1] += 1
    return wrong


def main():
    signal.signal(signal.SIGALRM, give_up)
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    vocabulary = [token.encode("latin-1") for token in given["tokens"]]
    info = xgrammar.TokenizerInfo(
        vocabulary, xgrammar.VocabType.RAW, vocab_size=given["vocabSize"], stop_token_ids=[given["eos"]]
    )
    modes = {"open": {"strict_mode": False, "any_whitespace": True}, "default": {}}
    results = {mode: {} for mode in modes}
    for mode, options in modes.items():
        compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        for name in given["files"]:
            with open(f"{given['directory']}/{name}", encoding="utf-8") as file:
                case = json.load(file)
            started = time.perf_counter()
            error = None
            accepted = rejected = 0
            signal.alarm(SECONDS)
            try:
                compiled = compiler.compile_json_schema(json.dumps(case["schema"]), **options)
                ms = (time.perf_counter() - started) * 1e3
                accepted, rejected = passes(compiled, case["tests"], given["encoded"][name])
            except Exception as problem:  # whatever it throws, the schema does not pass
                ms = (time.perf_counter() - started) * 1e3
                error = str(problem)[:300]
            signal.alarm(0)
            results[mode][name] = {
                "ms": ms,
                "error": error,
                "wronglyAccepted": accepted,
                "wronglyRejected": rejected,
                "passes": error is None and accepted + rejected == 0,
            }
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(results, file)


main()
