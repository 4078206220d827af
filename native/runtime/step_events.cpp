#include "runtime/step_events.h"

#include <limits>

namespace jsg {

void StepEvents::add(uint32_t id, const SampledToken& sampled, FinishReason finish, bool is_prompt, int n_checked) {
  top.insert(top.end(), sampled.top.begin(), sampled.top.end());
  tokens.push_back({id, sampled.token, sampled.logprob, finish, is_prompt, static_cast<uint8_t>(sampled.top.size()),
                    static_cast<uint8_t>(n_checked)});
}

void StepEvents::add_end(uint32_t id, FinishReason finish) {
  tokens.push_back({id, -1, std::numeric_limits<float>::quiet_NaN(), finish, false, 0});
}

}  // namespace jsg
