// What XGrammar logs: faults become exceptions without file and line, warnings are kept for whoever compiles.
#include "grammar/xgrammar_log.h"

#include <stdexcept>
#include <utility>

namespace jsg {
namespace {
thread_local std::vector<std::string>* listener = nullptr;
}

WarningCollector::WarningCollector() : before_(std::exchange(listener, &warnings_)) {}
WarningCollector::~WarningCollector() { listener = before_; }

}  // namespace jsg

// Declared by the library's support/logging.h where XGRAMMAR_LOG_CUSTOMIZE is set.
namespace xgrammar {

[[noreturn]] void LogFatalImpl(const std::string& file, int line, const std::string& message);
void LogMessageImpl(const std::string& file, int line, int level, const std::string& message);

void LogFatalImpl(const std::string&, int, const std::string& message) { throw std::runtime_error(message); }

void LogMessageImpl(const std::string&, int, int level, const std::string& message) {
  constexpr int kWarning = 2;
  if (level >= kWarning && jsg::listener != nullptr) jsg::listener->push_back(message);
}

}  // namespace xgrammar
