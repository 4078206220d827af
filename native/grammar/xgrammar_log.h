#pragma once
#include <string>
#include <vector>

namespace jsg {

// Keeps what XGrammar warns of on this thread while it is alive.
class WarningCollector {
 public:
  WarningCollector();
  ~WarningCollector();
  WarningCollector(const WarningCollector&) = delete;
  WarningCollector& operator=(const WarningCollector&) = delete;

  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::vector<std::string> warnings_;
  std::vector<std::string>* before_;
};

}  // namespace jsg
