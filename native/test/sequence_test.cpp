#include "runtime/sequence.h"

#include "check.h"
#include "error.h"

using namespace jsg;

static Request make_request(std::vector<int32_t> prompt, int max_new_tokens) {
  Request request;
  request.id = 7;
  request.prompt_ids = std::move(prompt);
  request.max_new_tokens = max_new_tokens;
  return request;
}

TEST(blocks_round_up) {
  CHECK(blocks_for(0) == 0);
  CHECK(blocks_for(1) == 1);
  CHECK(blocks_for(kBlockSize) == 1);
  CHECK(blocks_for(kBlockSize + 1) == 2);
}

TEST(prefill_in_chunks_then_decode) {
  Sequence sequence(make_request({1, 2, 3, 4, 5}, 2));
  CHECK(sequence.state() == SequenceState::kWaiting);
  sequence.start();
  CHECK(sequence.n_pending() == 5);
  sequence.advance(4);
  CHECK(sequence.n_pending() == 1);
  CHECK(!sequence.is_decoding());  // the last prompt token is prefill, though it is one
  sequence.advance(1);
  sequence.append_token(9);
  CHECK(sequence.is_decoding());
  CHECK(sequence.n_generated() == 1);
  CHECK(sequence.n_remaining() == 1);
}

TEST(tokens_in_flight_count_as_known_ones) {
  Request request = make_request({1, 2}, 3);
  request.sampling.presence_penalty = 1;
  Sequence sequence(std::move(request));
  sequence.start();
  sequence.advance(2);
  sequence.expect_token(4);
  CHECK(sequence.n_in_flight() == 1 && sequence.in_flight_row() == 4);
  CHECK(sequence.tokens().size() == 2 && sequence.n_tokens() == 3);
  CHECK(sequence.is_decoding() && sequence.n_generated() == 1 && sequence.n_remaining() == 2);
  sequence.advance(1);
  sequence.expect_token(0);
  sequence.append_token(8);
  CHECK(sequence.n_in_flight() == 1 && sequence.in_flight_row() == 0 && sequence.n_generated() == 2);
  CHECK(sequence.counts().entries().size() == 3);
  sequence.advance(1);
  sequence.expect_token(0);
  // The last token is on its way: nothing is left to feed.
  CHECK(sequence.n_remaining() == 0 && sequence.n_pending() == 0 && !sequence.is_decoding() && !sequence.is_complete());
  sequence.append_token(8);
  sequence.append_token(9);
  CHECK(sequence.is_complete() && sequence.n_in_flight() == 0);
}

TEST(retraction_keeps_tokens_and_counts) {
  Request request = make_request({1, 2, 1}, 8);
  request.sampling.presence_penalty = 1;
  Sequence sequence(std::move(request));
  sequence.start();
  sequence.append_block(0);
  sequence.advance(3);
  sequence.append_token(2);
  sequence.append_token(5);
  sequence.retract();
  CHECK(sequence.state() == SequenceState::kWaiting);
  CHECK(sequence.block_table().empty());
  CHECK(sequence.n_pending() == 5);
  CHECK(sequence.n_generated() == 2);
  CHECK(!sequence.is_decoding());
  sequence.start();
  const auto counts = sequence.counts().entries();
  CHECK(counts.size() == 3);
  CHECK(counts[0].token == 1 && counts[0].n_generated == 0);
  CHECK(counts[1].token == 2 && counts[1].n_generated == 1);
  CHECK(counts[2].token == 5 && counts[2].n_generated == 1);
}

TEST(counts_are_kept_only_where_a_penalty_asks) {
  Sequence sequence(make_request({1, 2}, 2));
  sequence.start();
  sequence.append_token(3);
  CHECK(sequence.counts().entries().empty());
}

TEST(requests_out_of_bounds_name_the_numbers) {
  const RequestLimits limits{.vocab_size = 10, .context_length = 8, .pool_tokens = 16};
  check_request(make_request({1, 2, 3}, 5), limits);
  CHECK_THROWS(check_request(make_request({}, 5), limits), "E_INVALID_REQUEST");
  CHECK_THROWS(check_request(make_request({10}, 1), limits), "E_INVALID_REQUEST");
  CHECK_THROWS(check_request(make_request({-1}, 1), limits), "E_INVALID_REQUEST");
  CHECK_THROWS(check_request(make_request({1}, -1), limits), "E_INVALID_REQUEST");
  try {
    check_request(make_request({1, 2, 3}, 6), limits);
    CHECK(false);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message == "3 prompt tokens and 6 new ones make 9, more than the context length of 8");
  }
  // No overflow where the sum exceeds int.
  CHECK_THROWS(check_request(make_request({1, 2, 3}, 2147483647), limits), "E_INVALID_REQUEST");
}

TEST(sampling_out_of_bounds_is_refused) {
  const RequestLimits limits{.vocab_size = 10, .context_length = 8, .pool_tokens = 16};
  const auto check = [&](auto change) {
    Request request = make_request({1}, 1);
    change(request.sampling);
    check_request(request, limits);
  };
  CHECK_THROWS(check([](SamplingParams& s) { s.temperature = -1; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.temperature = NAN; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.top_p = 1.5f; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.min_p = -0.1f; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.repetition_penalty = 0; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.top_k = -1; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.top_logprobs = 21; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.logit_bias = {{10, 1.f}}; }), "E_INVALID_REQUEST");
  CHECK_THROWS(check([](SamplingParams& s) { s.logit_bias = {{1, INFINITY}}; }), "E_INVALID_REQUEST");
  check([](SamplingParams& s) { s.logit_bias = {{9, -100.f}}; });
}

TEST_MAIN()
