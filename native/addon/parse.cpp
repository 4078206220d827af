#include "addon/parse.h"

#include <cmath>

#include "addon/fields.h"
#include "addon/handle.h"
#include "error.h"

namespace jsg {
namespace {

constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;
// Against absurd sizes, before anything is multiplied.
constexpr int64_t kMaxSize = 1 << 30;
constexpr size_t kMaxStopIds = 1024;
constexpr int64_t kMaxDrafts = 254;  // and the token before them are counted in a byte

void parse_rope_scaling(const Fields& fields, ModelConfig& config) {
  if (fields.is_null("ropeScaling")) return;
  const Fields scaling = fields.object("ropeScaling");
  config.rope_factor = scaling.number("factor");
  if (scaling.choice("type", {"linear", "llama3"}) == 0) {
    config.rope_scaling = RopeScaling::kLinear;
    return;
  }
  config.rope_scaling = RopeScaling::kLlama3;
  config.rope_low_freq_factor = scaling.number("lowFreqFactor");
  config.rope_high_freq_factor = scaling.number("highFreqFactor");
  config.rope_original_context = static_cast<int>(scaling.integer("originalContextLength", 1, kMaxSize));
}

ModelConfig parse_config(const Fields& fields) {
  const auto size = [&](const char* name) { return static_cast<int>(fields.integer(name, 1, kMaxSize)); };
  ModelConfig config{};
  config.n_layers = size("numLayers");
  config.hidden_size = size("hiddenSize");
  config.intermediate_size = size("intermediateSize");
  config.n_heads = size("numHeads");
  config.n_kv_heads = size("numKvHeads");
  config.head_dim = size("headDim");
  config.vocab_size = size("vocabSize");
  config.rms_norm_eps = static_cast<float>(fields.number("rmsNormEps"));
  config.rope_theta = fields.number("ropeTheta");
  parse_rope_scaling(fields, config);
  config.rope_interleaved = fields.boolean("ropeInterleaved");
  config.sliding_window = fields.is_null("slidingWindow") ? 0 : size("slidingWindow");
  config.tied_embeddings = fields.boolean("tiedEmbeddings");
  config.qkv_bias = fields.boolean("qkvBias");
  config.qk_norm = fields.boolean("qkNorm");
  return config;
}

FilePart parse_part(const Fields& fields, const char* name, int64_t n_files) {
  if (fields.is_null(name)) return {};
  const Fields part = fields.object(name);
  return {static_cast<int>(part.integer("file", 0, n_files - 1)),
          static_cast<uint64_t>(part.integer("offset", 0, kMaxSafeInteger)),
          static_cast<uint64_t>(part.integer("nbytes", 1, kMaxSafeInteger))};
}

Packing parse_packing(const Fields& fields, int64_t n_files) {
  Packing packing{};
  // In the order of Packing::Layout.
  packing.layout = static_cast<Packing::Layout>(fields.choice("layout", {"rows", "awq", "gptq"}));
  packing.bits = static_cast<int>(fields.integer("bits", 4, 8));
  packing.group_size = static_cast<int>(fields.integer("groupSize", 1, kMaxSize));
  packing.signed_codes = fields.boolean("signedCodes");
  packing.bytes_as_zeros = fields.boolean("bytesAsZeros");
  packing.scale_type = dtype_from_name(fields.string("scaleType"));
  packing.scales = parse_part(fields, "scales", n_files);
  packing.zeros = parse_part(fields, "zeros", n_files);
  packing.group_index = parse_part(fields, "groupIndex", n_files);
  return packing;
}

TensorInfo parse_tensor(const Fields& fields, bool has_file, int64_t n_files) {
  TensorInfo tensor;
  tensor.name = fields.string("name");
  tensor.dtype = dtype_from_name(fields.string("dtype"));
  tensor.shape = fields.integers("shape", 1, kMaxSafeInteger);
  tensor.file = static_cast<int>(has_file ? fields.integer("file", 0, n_files - 1) : 0);
  tensor.offset = static_cast<uint64_t>(fields.integer("offset", 0, kMaxSafeInteger));
  tensor.nbytes = static_cast<uint64_t>(fields.integer("nbytes", 0, kMaxSafeInteger));
  if (!fields.is_null("quantize")) {
    const Fields quantize = fields.object("quantize");
    tensor.quantize = QuantizeOnLoad{static_cast<int>(quantize.integer("bits", 4, 16)),
                                     static_cast<int>(quantize.integer("groupSize", 1, kMaxSize))};
  }
  if (!fields.is_null("packing")) tensor.packing = parse_packing(fields.object("packing"), n_files);
  tensor.int8_activations = !fields.is_null("int8Activations") && fields.boolean("int8Activations");
  return tensor;
}

SamplingParams parse_sampling(const Fields& fields) {
  SamplingParams sampling;
  sampling.temperature = static_cast<float>(fields.number("temperature"));
  sampling.top_k = fields.int32("topK");
  sampling.top_p = static_cast<float>(fields.number("topP"));
  sampling.min_p = static_cast<float>(fields.number("minP"));
  sampling.seed = static_cast<uint64_t>(fields.integer("seed", 0, kMaxSafeInteger));
  sampling.repetition_penalty = static_cast<float>(fields.number("repetitionPenalty"));
  sampling.frequency_penalty = static_cast<float>(fields.number("frequencyPenalty"));
  sampling.presence_penalty = static_cast<float>(fields.number("presencePenalty"));
  sampling.top_logprobs = fields.int32("topLogprobs");
  if (fields.is_null("logitBias")) return sampling;
  const Fields bias = fields.object("logitBias");
  const auto ids = bias.int32_array("ids");
  const auto values = bias.float32_array("values");
  if (ids.size() != values.size()) throw Error("E_INVALID_REQUEST", "logitBias has not as many ids as values");
  for (size_t i = 0; i < ids.size(); ++i) sampling.logit_bias.push_back({ids[i], values[i]});
  return sampling;
}

}  // namespace

RuntimeSpec parse_spec(const Napi::Value& value) {
  const Fields fields(value, "E_MODEL_INVALID", "");
  RuntimeSpec spec{};
  spec.load.backend = fields.choice("backend", {"cpu", "cuda"}) == 0 ? BackendKind::kCpu : BackendKind::kCuda;
  spec.load.activations = fields.choice("dtype", {"f16", "bf16"}) == 0 ? DType::kF16 : DType::kBF16;
  spec.load.reference_attention = fields.boolean("referenceAttention");
  spec.load.use_graphs = fields.boolean("useGraphs");
  spec.load.int8_prompts = !fields.is_null("int8Prompts") && fields.boolean("int8Prompts");
  spec.load.config = parse_config(fields.object("config"));
  spec.load.dummy = fields.choice("loadFormat", {"mmap", "dummy"}) == 1;
  spec.load.files = fields.strings("files");
  for (const Fields& tensor : fields.objects("tensors")) {
    spec.load.tensors.push_back(parse_tensor(tensor, !spec.load.dummy, static_cast<int64_t>(spec.load.files.size())));
  }
  // In the order of KvDType.
  spec.load.kv_dtype =
      static_cast<KvDType>(fields.choice("kvCacheDtype", {"f32", "f16", "fp8_e4m3", "fp8_e5m2", "int8"}));
  spec.load.max_total_tokens = fields.integer("maxTotalTokens", 1, kMaxSize);
  spec.load.n_threads = static_cast<int>(fields.integer("numThreads", 0, 4096));

  spec.engine.context_length = static_cast<int>(fields.integer("contextLength", 1, kMaxSize));
  spec.engine.max_running = static_cast<int>(fields.integer("maxRunningRequests", 1, 65536));
  spec.engine.max_queued = static_cast<int>(fields.integer("maxQueuedRequests", 0, kMaxSize));
  spec.engine.chunked_prefill_size = static_cast<int>(fields.integer("chunkedPrefillSize", 1, kMaxSize));
  spec.engine.max_queued_tokens = fields.integer("maxQueuedTokens", 0, kMaxSafeInteger);
  spec.engine.shares_prefixes = fields.boolean("sharesPrefixes");
  const Fields speculation = fields.object("speculation");
  spec.engine.speculation = {
      static_cast<int>(speculation.integer("maxDraftTokens", 0, kMaxDrafts)),
      static_cast<int>(speculation.integer("maxMatchTokens", NgramIndex::kLeastLength, kMaxSize))};
  spec.load.max_running = spec.engine.max_running;
  spec.load.max_rows = spec.engine.chunked_prefill_size + spec.engine.max_running;
  spec.load.max_logit_rows = spec.engine.max_running + kMaxScoredRows;
  return spec;
}

uint32_t parse_id(const Napi::Value& value) {
  const double id = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  // Written so that NaN fails.
  if (!(id >= 0 && id <= UINT32_MAX) || id != std::trunc(id)) {
    throw Error("E_INVALID_REQUEST", "the id must be an integer from 0 to " + std::to_string(UINT32_MAX));
  }
  return static_cast<uint32_t>(id);
}

std::shared_ptr<const Grammar> parse_grammar(const Napi::Value& value) {
  auto grammar = held_by<const Grammar>(value);
  if (!grammar) throw Error("E_INVALID_REQUEST", "grammar must be one that a compiler has made, or null");
  return grammar;
}

Request parse_request(const Napi::Value& value) {
  const Fields fields(value, "E_INVALID_REQUEST", "");
  Request request;
  request.id = static_cast<uint32_t>(fields.integer("id", 0, UINT32_MAX));
  request.prompt_ids = fields.int32_array("promptIds");
  request.max_new_tokens = fields.int32("maxNewTokens", 0);
  request.min_new_tokens = fields.int32("minNewTokens", 0);
  request.stop_ids = fields.int32_array("stopTokenIds");
  if (request.stop_ids.size() > kMaxStopIds) {
    throw Error("E_INVALID_REQUEST", "stopTokenIds holds more than " + std::to_string(kMaxStopIds) + " ids");
  }
  request.sampling = parse_sampling(fields.object("sampling"));
  request.prompt_logprobs = fields.boolean("promptLogprobs");
  request.priority = fields.int32("priority");
  request.cache_salt = static_cast<uint64_t>(fields.integer("cacheSalt", 0, kMaxSafeInteger));
  if (!fields.is_null("grammar")) request.grammar = parse_grammar(fields.get("grammar"));
  return request;
}

}  // namespace jsg
