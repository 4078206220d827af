// NativeGrammarCompiler of src/addon/binding.ts.
#pragma once
#include <napi.h>

namespace jsg {

// binding.createGrammarCompiler(vocabulary): a promise of the compiler.
Napi::Value create_grammar_compiler(const Napi::CallbackInfo& info);

}  // namespace jsg
