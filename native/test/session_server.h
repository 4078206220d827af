// What the tests of session files share: a file that goes away, and a server of one request at a time.
#pragma once
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "runtime/pipeline.h"
#include "tiny_decoder.h"

namespace jsg::test {

inline const std::vector<uint8_t> kHeader = {'a', ' ', 'h', 'e', 'a', 'd', 'e', 'r', 10};

// A path of this process's own; the file is gone in the end.
struct TemporaryFile {
  TemporaryFile() : path("/tmp/jsg_session_" + std::to_string(getpid()) + "_" + std::to_string(n_made++)) {}
  ~TemporaryFile() { std::remove(path.c_str()); }
  std::vector<char> read() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::vector<char>& bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  static inline int n_made = 0;
  const std::string path;
};

// Tells what a prompt found in the cache, and its answer.
class Server {
 public:
  Server(std::unique_ptr<Model> model, int n_blocks)
      : pipeline_(std::move(model), SchedulerOptions{n_blocks, 4, 64}, SpeculationOptions{}) {}

  struct Answer {
    std::vector<int32_t> tokens;
    std::vector<float> logprobs;
    int n_cached = 0;
  };
  Answer ask(std::vector<int32_t> prompt, CacheSalt salt = 0) {
    Request request;
    request.prompt_ids = std::move(prompt);
    request.max_new_tokens = 20;
    request.cache_salt = salt;
    request.sampling.top_logprobs = 0;
    pipeline_.submit(std::make_unique<Sequence>(std::move(request)));
    Answer answer;
    while (pipeline_.has_work()) {
      StepEvents events;
      pipeline_.advance(events);
      for (const Start& start : events.starts) answer.n_cached = start.n_cached;
      for (const TokenEvent& event : events.tokens) {
        answer.tokens.push_back(event.token);
        answer.logprobs.push_back(event.logprob);
      }
    }
    CHECK(pipeline_.scheduler().count_leaked_blocks() == 0);
    return answer;
  }
  int save(const TemporaryFile& file) { return pipeline_.save_session(file.path, kHeader); }
  int load(const TemporaryFile& file) { return pipeline_.load_session(file.path, kHeader.size()); }
  int n_evictable() const { return pipeline_.scheduler().evictable_tokens(); }

 private:
  Pipeline pipeline_;
};

inline std::vector<int32_t> prompt_of(int sequence, int n_tokens, int vocab) {
  std::vector<int32_t> prompt;
  for (int i = 0; i < n_tokens; ++i) prompt.push_back(token_at(sequence, i, vocab));
  return prompt;
}

}  // namespace jsg::test
