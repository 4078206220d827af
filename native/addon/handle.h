// Things of C++ in the hands of JavaScript, which may hand in the wrong one, or one of another addon: each kind has a
// tag, and what does not wear it is not looked into.
#pragma once
#include <napi.h>

#include <memory>
#include <utility>

namespace jsg {

class Grammar;
class RuntimeHost;

// Random, one for each kind.
template <typename T>
struct HandleTag;
template <>
struct HandleTag<const Grammar> {
  static constexpr napi_type_tag kTag = {0x2f0b7d9e4c6a4813, 0x95e1d3087ab62fc4};
};
template <>
struct HandleTag<RuntimeHost> {
  static constexpr napi_type_tag kTag = {0x6a1c0f6d93b14e52, 0xb7d20c4f58e3a916};
};

// Holds `held` until JavaScript has forgotten it.
template <typename T>
Napi::Value make_handle(Napi::Env env, std::shared_ptr<T> held) {
  using Held = std::shared_ptr<T>;
  auto owned = std::make_unique<Held>(std::move(held));
  auto handle = Napi::External<Held>::New(env, owned.get(), [](Napi::Env, Held* data) { delete data; });
  owned.release();
  handle.TypeTag(&HandleTag<T>::kTag);
  return handle;
}

// What a handle holds; null: it is none, or one of something else.
template <typename T>
std::shared_ptr<T> held_by(const Napi::Value& value) {
  if (!value.IsExternal()) return nullptr;
  const auto handle = value.As<Napi::External<std::shared_ptr<T>>>();
  return handle.CheckTypeTag(&HandleTag<T>::kTag) ? *handle.Data() : nullptr;
}

}  // namespace jsg
