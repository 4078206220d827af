#include "runtime/session.h"

#include <sys/stat.h>

#include <tuple>

#include "check.h"
#include "error.h"
#include "history_model.h"
#include "session_server.h"
#include "tiny_decoder.h"

using namespace jsg;
using jsg::test::HistoryModel;
using jsg::test::kHeader;
using jsg::test::Server;
using jsg::test::TemporaryFile;

namespace {

constexpr int kVocab = 48;

std::unique_ptr<Model> history_model(int n_blocks) { return std::make_unique<HistoryModel>(n_blocks, kVocab); }

std::vector<int32_t> prompt_of(int sequence, int n_tokens) { return jsg::test::prompt_of(sequence, n_tokens, kVocab); }

}  // namespace

TEST(a_new_server_finds_what_the_old_one_computed) {
  const TemporaryFile file;
  Server old_one(history_model(64), 64), new_one(history_model(64), 64), none(history_model(64), 64);
  old_one.ask(prompt_of(1, 100));
  old_one.ask(prompt_of(2, 50), 7);
  CHECK(old_one.save(file) == 7 + 4);
  struct stat status{};
  CHECK(stat(file.path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0600);
  CHECK(new_one.load(file) == 11);
  CHECK(new_one.n_evictable() == 11 * kBlockSize);
  for (const auto& [prompt, salt, n_cached] : {std::tuple{prompt_of(1, 100), CacheSalt{0}, 96},
                                               {prompt_of(2, 50), CacheSalt{7}, 48},
                                               {prompt_of(1, 100), CacheSalt{7}, 0},
                                               {prompt_of(2, 50), CacheSalt{0}, 0}}) {
    const auto answer = new_one.ask(prompt, salt);
    CHECK(answer.n_cached == n_cached);
    CHECK(answer.tokens == none.ask(prompt, salt + 100).tokens);
  }
}

TEST(a_smaller_cache_takes_what_was_used_last) {
  const TemporaryFile file;
  Server old_one(history_model(64), 64), new_one(history_model(10), 10);
  for (int sequence = 1; sequence <= 4; ++sequence) old_one.ask(prompt_of(sequence, 60));
  old_one.ask(prompt_of(1, 60));
  CHECK(old_one.save(file) == 16);
  CHECK(new_one.load(file) == 10);
  CHECK(new_one.ask(prompt_of(1, 60)).n_cached == 48);
  // And forgets in the same order.
  CHECK(new_one.ask(prompt_of(4, 60)).n_cached == 48);
}

TEST(a_damaged_file_is_refused_and_leaves_nothing_behind) {
  const TemporaryFile file;
  Server old_one(history_model(64), 64);
  old_one.ask(prompt_of(1, 100));
  old_one.save(file);
  const std::vector<char> good = file.read();
  const auto is_refused = [&](const std::vector<char>& bytes) {
    file.write(bytes);
    Server server(history_model(64), 64);
    CHECK_THROWS(server.load(file), "E_MODEL_INVALID");
    CHECK(server.n_evictable() == 0);
    CHECK(server.ask(prompt_of(1, 100)).n_cached == 0);
  };
  for (const size_t at : {kHeader.size(), kHeader.size() + 9, good.size() / 2, good.size() - 1}) {
    std::vector<char> bytes = good;
    bytes[at] ^= 4;
    is_refused(bytes);
  }
  is_refused({good.begin(), good.end() - 3});
  // A record again: of the same tokens, or of a parent that is yet to come.
  const size_t size = (good.size() - kHeader.size()) / 7;
  std::vector<char> twice = good;
  twice.insert(twice.end(), good.begin() + static_cast<std::ptrdiff_t>(kHeader.size()),
               good.begin() + static_cast<std::ptrdiff_t>(kHeader.size() + size));
  is_refused(twice);
  std::vector<char> orphan(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(kHeader.size()));
  orphan.insert(orphan.end(), good.end() - static_cast<std::ptrdiff_t>(size), good.end());
  is_refused(orphan);
}

TEST(files_that_cannot_be_read_or_written_are_told) {
  const TemporaryFile file;
  Server server(history_model(8), 8);
  CHECK_THROWS(server.load(file), "E_IO_FAILED");
  CHECK(server.save(file) == 0);
  CHECK_THROWS(server.save(file), "E_IO_FAILED");  // never over another file
  CHECK(server.load(file) == 0);
}

// All layers of a block, in both types of KV.
TEST(a_decoder_goes_on_to_the_bit) {
  for (const KvDType kv_dtype : {KvDType::kF32, KvDType::kF16}) {
    LoadOptions options =
        jsg::test::tiny_options({"llama", 96, 6, 2, 20, false, false, true, true, 0, 160, 3, kVocab}, DType::kF32, 32);
    options.kv_dtype = kv_dtype;
    options.n_threads = 1;
    const auto load = [&] { return load_model(options, [](double) {}).model; };
    const TemporaryFile file;
    Server old_one(load(), 32), new_one(load(), 32);
    const auto expected = old_one.ask(prompt_of(1, 100));
    old_one.save(file);
    new_one.load(file);
    const auto answer = new_one.ask(prompt_of(1, 100));
    CHECK(answer.n_cached == 96);
    CHECK(answer.tokens == expected.tokens && answer.logprobs == expected.logprobs);
  }
}

TEST_MAIN()
