// The smallest test harness: TEST(name) { CHECK(...); } and a main() that runs them all.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace jsg::test {

struct Case {
  const char* name;
  std::function<void()> body;
};
inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}
struct Register {
  Register(const char* name, std::function<void()> body) { cases().push_back({name, std::move(body)}); }
};

}  // namespace jsg::test

#define TEST(name)                                          \
  static void name();                                       \
  static jsg::test::Register register_##name(#name, &name); \
  static void name()

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      std::printf("%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
      ++jsg::test::failures();                                                  \
    }                                                                           \
  } while (0)

#define CHECK_NEAR(actual, expected, tolerance)                                                                 \
  do {                                                                                                          \
    const double check_a = (actual), check_e = (expected), check_t = (tolerance);                               \
    if (!(std::fabs(check_a - check_e) <= check_t)) {                                                           \
      std::printf("%s:%d: %s = %.9g, expected %.9g within %g\n", __FILE__, __LINE__, #actual, check_a, check_e, \
                  check_t);                                                                                     \
      ++jsg::test::failures();                                                                                  \
    }                                                                                                           \
  } while (0)

#define CHECK_THROWS(expression, code_string)                                                    \
  do {                                                                                           \
    bool check_thrown = false;                                                                   \
    try {                                                                                        \
      (void)(expression);                                                                        \
    } catch (const jsg::Error& error) {                                                          \
      check_thrown = error.code() == (code_string);                                              \
    }                                                                                            \
    if (!check_thrown) {                                                                         \
      std::printf("%s:%d: %s did not throw %s\n", __FILE__, __LINE__, #expression, code_string); \
      ++jsg::test::failures();                                                                   \
    }                                                                                            \
  } while (0)

#define TEST_MAIN()                                                                         \
  int main(int argc, char** argv) {                                                         \
    std::setvbuf(stdout, nullptr, _IOLBF, 0); /* heard even if it hangs */                  \
    int ran = 0;                                                                            \
    for (const auto& test : jsg::test::cases()) {                                           \
      if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;                 \
      const int before = jsg::test::failures();                                             \
      try {                                                                                 \
        test.body();                                                                        \
      } catch (const std::exception& error) {                                               \
        std::printf("%s threw: %s\n", test.name, error.what());                             \
        ++jsg::test::failures();                                                            \
      }                                                                                     \
      std::printf("%s %s\n", jsg::test::failures() == before ? "ok  " : "FAIL", test.name); \
      ++ran;                                                                                \
    }                                                                                       \
    std::printf("%d tests, %d failures\n", ran, jsg::test::failures());                     \
    return jsg::test::failures() == 0 && ran > 0 ? 0 : 1;                                   \
  }
