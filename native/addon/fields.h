// Reads the fields of a JavaScript object, each with the type and range that src/addon/binding.ts declares. TypeScript
// has validated them; this makes sure that a caller who went around it gets an error and not a crash.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace jsg {

class Fields {
 public:
  // `code`: of the error that a wrong field throws. `path`: in front of field names in messages, "" or "sampling.".
  Fields(Napi::Value value, std::string code, std::string path);

  double number(const char* name) const;
  // An integer in [low, high]; both at most 2^53 in size.
  int64_t integer(const char* name, int64_t low, int64_t high) const;
  int32_t int32(const char* name, int32_t low = INT32_MIN) const {
    return static_cast<int32_t>(integer(name, low, INT32_MAX));
  }
  bool boolean(const char* name) const;
  std::string string(const char* name) const;
  // Throws unless the string is one of them; its index.
  int choice(const char* name, const std::vector<std::string>& choices) const;
  bool is_null(const char* name) const;
  Fields object(const char* name) const;
  std::vector<Fields> objects(const char* name) const;
  std::vector<std::string> strings(const char* name) const;
  std::vector<int64_t> integers(const char* name, int64_t low, int64_t high) const;
  std::vector<int32_t> int32_array(const char* name) const;  // an Int32Array
  std::vector<float> float32_array(const char* name) const;  // a Float32Array
  std::vector<uint8_t> uint8_array(const char* name) const;  // a Uint8Array
  // As it is; undefined where it is missing.
  Napi::Value get(const char* name) const;

 private:
  Napi::Array array(const char* name) const;
  int64_t to_integer(const Napi::Value& value, const std::string& name, int64_t low, int64_t high) const;
  template <typename T>
  std::vector<T> typed_array(const char* name, napi_typedarray_type type, const char* type_name) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& expected) const;

  Napi::Object object_;
  std::string code_;
  std::string path_;
};

}  // namespace jsg
