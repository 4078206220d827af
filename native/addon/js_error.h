// Errors on their way into JavaScript.
#pragma once
#include <napi.h>

#include <string>
#include <utility>

#include "error.h"

namespace jsg {

// A JavaScript Error with `.code`.
Napi::Error make_js_error(Napi::Env env, const std::string& code, const std::string& message);

// Calls f; what it throws arrives in JavaScript as an Error with `.code`.
template <typename F>
auto with_js_errors(Napi::Env env, F&& f) -> decltype(f()) {
  try {
    return std::forward<F>(f)();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw make_js_error(env, error.code(), error.what());
  } catch (const std::exception& error) {
    throw make_js_error(env, "E_INTERNAL", error.what());
  }
}

}  // namespace jsg
