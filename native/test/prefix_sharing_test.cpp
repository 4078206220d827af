// A real decoder must say the same, to the bit, whether the beginning of a prompt is computed or found in the cache, in
// whatever chunks, and whatever else is computed beside it.
#include <map>

#include "check.h"
#include "model/load.h"
#include "runtime/pipeline.h"
#include "tiny_decoder.h"

using namespace jsg;
using namespace jsg::test;

namespace {

constexpr int kBlocks = 96;
constexpr int kThreads[] = {1, 3};  // several cut long contexts

constexpr TinyDecoder tiny(const char* name, bool qkv_bias, bool qk_norm, bool interleaved, bool tied, int window) {
  return {name, 96, 6, 2, 20, qkv_bias, qk_norm, interleaved, tied, window, 160, 2, 300};
}

struct Answer {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  int n_cached = 0;
  bool operator==(const Answer& other) const { return tokens == other.tokens && logprobs == other.logprobs; }
};

class Server {
 public:
  Server(const LoadOptions& options, bool shares, int chunk) {
    LoadedModel loaded = load_model(options, [](double) {});
    pipeline_.emplace(std::move(loaded.model), SchedulerOptions{kBlocks, 8, chunk, shares});
  }

  void submit(uint32_t id, std::vector<int32_t> prompt, int max_new_tokens) {
    Request request;
    request.id = id;
    request.prompt_ids = std::move(prompt);
    request.max_new_tokens = max_new_tokens;
    request.sampling.top_logprobs = 0;
    pipeline_->submit(std::make_unique<Sequence>(std::move(request)));
  }
  void step() {
    StepEvents events;
    pipeline_->advance(events);
    for (const Start& start : events.starts) answers_[start.id].n_cached = start.n_cached;
    for (const TokenEvent& event : events.tokens) {
      answers_[event.id].tokens.push_back(event.token);
      answers_[event.id].logprobs.push_back(event.logprob);
    }
  }
  Answer& run(uint32_t id) {
    while (pipeline_->has_work()) step();
    CHECK(pipeline_->scheduler().count_leaked_blocks() == 0);
    return answers_[id];
  }

 private:
  std::optional<Pipeline> pipeline_;
  std::map<uint32_t, Answer> answers_;
};

std::vector<int32_t> prompt_of(int sequence, int n_tokens) {
  std::vector<int32_t> prompt;
  for (int i = 0; i < n_tokens; ++i) prompt.push_back(token_at(sequence, i, 300));
  return prompt;
}

}  // namespace

TEST(turns_of_a_conversation_are_the_same_with_and_without_the_cache) {
  for (const TinyDecoder& variant :
       {tiny("llama", false, false, true, true, 0), tiny("mistral", false, false, false, false, 20),
        tiny("qwen3", true, true, false, false, 0)}) {
    for (const int n_threads : kThreads) {
      LoadOptions options = tiny_options(variant, DType::kF32, kBlocks);
      options.kv_dtype = n_threads == 1 ? KvDType::kF32 : KvDType::kF16;
      options.n_threads = n_threads;
      Server with(options, true, 64), without(options, false, 48);
      std::vector<int32_t> prompt = prompt_of(0, 150);
      for (uint32_t turn = 0; turn < 4; ++turn) {
        for (Server* server : {&with, &without}) server->submit(turn, prompt, 40);
        const Answer &answer = with.run(turn), &expected = without.run(turn);
        CHECK(answer == expected);
        CHECK(expected.n_cached == 0);
        // All full blocks of the turn before, its answer's too; the last token of an answer is never fed.
        CHECK(answer.n_cached == (turn == 0 ? 0 : static_cast<int>(prompt.size() - 20 - 1) / kBlockSize * kBlockSize));
        prompt.insert(prompt.end(), answer.tokens.begin(), answer.tokens.end());
        const auto question = prompt_of(static_cast<int>(turn) + 5, 20);
        prompt.insert(prompt.end(), question.begin(), question.end());
      }
    }
  }
}

TEST(what_is_computed_beside_a_sequence_changes_nothing) {
  for (const int window : {0, 150}) {
    LoadOptions options = tiny_options(tiny("llama", false, false, true, true, window), DType::kF32, 4 * kBlocks);
    for (const int n_threads : kThreads) {
      options.n_threads = n_threads;
      Server crowd(options, false, 100);
      constexpr int kLengths[] = {3, 120, 200, 350, 500};
      for (uint32_t id = 0; id < std::size(kLengths); ++id) {
        crowd.submit(id, prompt_of(static_cast<int>(id), kLengths[id]), 60);
        crowd.step();
      }
      for (uint32_t id = 0; id < std::size(kLengths); ++id) {
        Server alone(options, false, 512);
        alone.submit(id, prompt_of(static_cast<int>(id), kLengths[id]), 60);
        CHECK(alone.run(id) == crowd.run(id));
      }
    }
  }
}

TEST(prompts_that_run_side_by_side_share_what_they_can) {
  LoadOptions options = tiny_options(tiny("llama", false, false, true, true, 0), DType::kF32, kBlocks);
  options.n_threads = 3;
  Server with(options, true, 64), without(options, false, 64);
  for (Server* server : {&with, &without}) {
    server->submit(1, prompt_of(0, 130), 30);
    for (int i = 0; i < 2; ++i) server->step();
    for (uint32_t id = 2; id < 6; ++id) {
      auto prompt = prompt_of(0, 80 + 16 * static_cast<int>(id));
      prompt.push_back(static_cast<int32_t>(id));
      server->submit(id, prompt, 30);
    }
  }
  for (uint32_t id = 1; id < 6; ++id) {
    CHECK(with.run(id) == without.run(id));
    CHECK(with.run(id).n_cached == (id == 1 ? 0 : std::min(128, 80 + 16 * static_cast<int>(id))));
  }
}

TEST_MAIN()
