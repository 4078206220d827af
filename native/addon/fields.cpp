#include "addon/fields.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace jsg {

Fields::Fields(Napi::Value value, std::string code, std::string path) : code_(std::move(code)), path_(std::move(path)) {
  if (!value.IsObject()) {
    throw Error(code_, (path_.empty() ? "the argument" : path_.substr(0, path_.size() - 1)) + " must be an object");
  }
  object_ = value.As<Napi::Object>();
}

void Fields::refuse(const std::string& name, const std::string& expected) const {
  throw Error(code_, path_ + name + " must be " + expected);
}

Napi::Value Fields::get(const char* name) const { return object_.Get(name); }

double Fields::number(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsNumber()) refuse(name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

int64_t Fields::integer(const char* name, int64_t low, int64_t high) const {
  return to_integer(get(name), name, low, high);
}

int64_t Fields::to_integer(const Napi::Value& value, const std::string& name, int64_t low, int64_t high) const {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  // Written so that NaN fails.
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::trunc(number)) {
    refuse(name, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<int64_t>(number);
}

bool Fields::boolean(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsBoolean()) refuse(name, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string Fields::string(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsString()) refuse(name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

int Fields::choice(const char* name, const std::vector<std::string>& choices) const {
  const auto at = std::find(choices.begin(), choices.end(), string(name));
  if (at == choices.end()) {
    std::string list;
    for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
    refuse(name, "one of " + list);
  }
  return static_cast<int>(at - choices.begin());
}

bool Fields::is_null(const char* name) const {
  const Napi::Value value = get(name);
  return value.IsNull() || value.IsUndefined();
}

Fields Fields::object(const char* name) const { return {get(name), code_, path_ + name + "."}; }

Napi::Array Fields::array(const char* name) const {
  const Napi::Value value = get(name);
  if (!value.IsArray()) refuse(name, "an array");
  return value.As<Napi::Array>();
}

std::vector<Fields> Fields::objects(const char* name) const {
  const Napi::Array values = array(name);
  std::vector<Fields> result;
  for (uint32_t i = 0; i < values.Length(); ++i) {
    result.emplace_back(values.Get(i), code_, path_ + name + "[" + std::to_string(i) + "].");
  }
  return result;
}

std::vector<std::string> Fields::strings(const char* name) const {
  const Napi::Array values = array(name);
  std::vector<std::string> result;
  for (uint32_t i = 0; i < values.Length(); ++i) {
    const Napi::Value value = values.Get(i);
    if (!value.IsString()) refuse(name, "an array of strings");
    result.push_back(value.As<Napi::String>().Utf8Value());
  }
  return result;
}

std::vector<int64_t> Fields::integers(const char* name, int64_t low, int64_t high) const {
  const Napi::Array values = array(name);
  std::vector<int64_t> result;
  for (uint32_t i = 0; i < values.Length(); ++i) {
    result.push_back(to_integer(values.Get(i), std::string(name) + "[" + std::to_string(i) + "]", low, high));
  }
  return result;
}

template <typename T>
std::vector<T> Fields::typed_array(const char* name, napi_typedarray_type type, const char* type_name) const {
  const Napi::Value value = get(name);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) refuse(name, type_name);
  const auto view = value.As<Napi::TypedArrayOf<T>>();
  const T* data = view.Data();
  return data == nullptr ? std::vector<T>() : std::vector<T>(data, data + view.ElementLength());
}

std::vector<int32_t> Fields::int32_array(const char* name) const {
  return typed_array<int32_t>(name, napi_int32_array, "an Int32Array");
}

std::vector<uint8_t> Fields::uint8_array(const char* name) const {
  return typed_array<uint8_t>(name, napi_uint8_array, "a Uint8Array");
}

std::vector<float> Fields::float32_array(const char* name) const {
  return typed_array<float>(name, napi_float32_array, "a Float32Array");
}

}  // namespace jsg
