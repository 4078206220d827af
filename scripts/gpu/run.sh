#!/usr/bin/env bash
# On the GPU host: the correctness gate first, then the benches. What pack.sh made is kept under $JSG_GPU_HOME (/tmp/jsg-gpu).
#   run.sh keep [FOLDER]             takes the pieces in FOLDER (.gpu); they may come in several calls
#   run.sh test [PROGRAM [NAME]]     every operation against the CPU backend; NAME: part of a test's name
#   run.sh sanitize [TOOL...]        the small tests under compute-sanitizer: memcheck, then racecheck
#   run.sh golden                    SmolLM2: 33 greedy answers against transformers (needs the model's pieces)
#   run.sh gate [PART...]            tiny models of every architecture over HTTP against transformers; PART: logits batch
#                                    chunks graphs kv long
#   run.sh fault                     the GPU fails beneath running streams: they end with an error, the server exits with 6
#   run.sh bench                     engine-level figures, 1B and 8B shapes
#   run.sh http [SHAPE...]           random weights over HTTP beside the engine alone (8b, then 1b)
#   run.sh load [SHAPE STREAMS...]   64 streams of 512 + 128 tokens (1b; random weights): the engine alone, then over HTTP
#   run.sh structured                SmolLM2: answers that follow 300 schemas, with two seeds, checked by ajv; their speed beside free ones
#   run.sh serve [DEVICE...]         SmolLM2 over HTTP: an answer, and jsg bench (cuda, then cpu)
# JSG_DEVICE=cpu rehearses golden and gate without a GPU.
set -euo pipefail
home=${JSG_GPU_HOME:-/tmp/jsg-gpu}
app=$home/jsg
device=${JSG_DEVICE:-cuda}
[ "$device" = cpu ] || export JSG_REQUIRE_CUDA=1  # no test is skipped for want of a GPU
# cuBLAS is loaded at run time.
for library in /usr/local/cuda*/targets/*/lib; do export LD_LIBRARY_PATH="$library:${LD_LIBRARY_PATH:-}"; done

keep() {
  local piece
  mkdir -p "$home/pieces"
  for piece in "${1:-.gpu}"/*/piece; do cp "$piece" "$home/pieces/$(basename "$(dirname "$piece")")"; done
  ls -l "$home/pieces"
}

unpack() {
  [ ! -d "$app" ] || return 0
  local fresh
  fresh=$(mktemp -d "$home/unpacking.XXXXXX")
  cat "$home"/pieces/app? | tar -C "$fresh" -xJ
  mv "$fresh/jsg" "$app" && rmdir "$fresh" # at once: what was interrupted is not taken for whole
}

model() {
  local file=$home/model.gguf
  [ -f "$file" ] || cat "$home"/pieces/model? > "$file"
  sha256sum --quiet -c "$app/model.sha256" < "$file" || { rm "$file" && return 1; }
  echo "$file"
}

jsg() { "$app/node" "$app/bin/jsg.js" "$@"; }

# start ARGS...: a server; its address is in $url, its process in $server.
start() {
  local log=$home/server.log
  "$app/node" "$app/bin/jsg.js" launch "$@" --port 0 > "$log" 2>&1 &
  server=$!
  url=
  until [ -n "$url" ]; do
    kill -0 "$server" || { cat "$log" && return 1; }
    sleep 0.1
    url=$(sed -n 's/.* is served at \(http[^ ]*\)$/\1/p' "$log")
  done
}
stop() { kill -TERM "$server" && wait "$server"; }

run_tests() {
  local program status=0
  if [ $# -gt 0 ]; then
    "$app/tests/$1" "${@:2}"
    return
  fi
  for program in "$app"/tests/*; do
    echo "== $(basename "$program")"
    "$program" || status=1
  done
  return "$status"
}

# What is small enough for compute-sanitizer: a program, and a part of its tests' names. racecheck is the slower.
declare -A backend_tests=([memcheck]=small [racecheck]=raced)
sanitized=(
  'cuda_codes_test small'
  'cuda_int8_test small'
  'cuda_sampler_test greedy_takes'
  'cuda_sampler_test unseen_row'
  'cuda_sampler_test two_steps'
)

sanitize() {
  local sanitizer tool test program filter status=0
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer | head -1)
  [ $# -gt 0 ] || set -- memcheck racecheck
  for tool in "$@"; do
    for test in "cuda_backend_test ${backend_tests[$tool]:-small}" "${sanitized[@]}"; do
      read -r program filter <<< "$test"
      echo "== $tool $test"
      "$sanitizer" --tool "$tool" --error-exitcode 3 "$app/tests/$program" "$filter" || status=1
    done
  done
  return "$status"
}

golden() {
  local file status=0 flags near_tie
  file=$(model)
  local -A runs=(['--dtype float16']=0.05)
  # bfloat16 is coarser, by 0.125 where logits are above 16: answers part where the reference's two best are less near.
  [ "$device" = cpu ] || runs+=(['--attention-backend torch_native --dtype float16']=0.05 ['--dtype bfloat16']=0.25)
  for flags in "${!runs[@]}"; do
    near_tie=${runs[$flags]}
    echo "== golden $flags"
    # shellcheck disable=SC2086  # several words
    start --model-path "$file" --device "$device" $flags || { status=1 && continue; }
    "$app/node" "$app/scripts/gpu/golden.mjs" "$url" "$app/test/golden/smollm2.json" "$near_tie" || status=1
    stop
  done
  return "$status"
}

fault() {
  local trigger=$home/fault status=0
  rm -f "$trigger"
  "$app/node" "$app/scripts/gpu/dummy-model.mjs" 1b "$home/dummy-1b"
  JSG_FAULT_FILE=$trigger NODE_OPTIONS="--require $app/scripts/gpu/fault.node" \
    start --model-path "$home/dummy-1b" --load-format dummy --device "$device"
  "$app/node" "$app/scripts/gpu/fault.mjs" "$url" "$trigger" || return 1
  wait "$server" || status=$?
  tail -2 "$home/server.log"
  echo "exit code $status"
  [ "$status" -eq 6 ]
}

http() {
  local shape
  for shape in "$@"; do
    "$app/benches/step_bench" "$device" "$shape" | grep -E 'read bandwidth|batch +(1|32):'
    "$app/node" "$app/scripts/gpu/dummy-model.mjs" "$shape" "$home/dummy-$shape"
    start --model-path "$home/dummy-$shape" --load-format dummy --device "$device" --log-level warning
    jsg bench --url "$url" --batch 1,32 --max-tokens 512
    stop
  done
}

load() {
  local shape=${1:-1b} streams=${2:-64} requests
  requests=$((streams * 8))
  "$app/benches/serving_bench" "$device" "$shape" --streams "$streams" --requests "$requests"
  "$app/node" "$app/scripts/gpu/dummy-model.mjs" "$shape" "$home/dummy-$shape"
  start --model-path "$home/dummy-$shape" --load-format dummy --device "$device" --dtype bfloat16 --log-level warning \
    --max-running-requests "$streams"
  jsg bench serve --url "$url" --max-concurrency "$streams" --num-prompts "$requests" --warmup-requests "$streams" --no-model-hash
  stop
}

structured() {
  local file status=0
  file=$(model)
  start --model-path "$file" --device "$device"
  "$app/node" "$app/scripts/gpu/validity.mjs" "$url" --streams 16 || status=1
  "$app/node" "$app/scripts/gpu/throughput.mjs" "$url" --tokens 400 || status=1
  stop
  return "$status"
}

serve() {
  local file
  file=$(model)
  for device in "$@"; do
    start --model-path "$file" --device "$device"
    "$app/node" -e '
      const messages = [{ role: "user", content: "Explain in three sentences why the sky is blue." }];
      const body = JSON.stringify({ messages, temperature: 0, max_tokens: 96 });
      const headers = { "Content-Type": "application/json" };
      fetch(`${process.argv[1]}/v1/chat/completions`, { method: "POST", headers, body })
        .then((response) => response.json())
        .then((answer) => console.log(answer.choices[0].message.content));
    ' "$url"
    jsg bench --url "$url" --batch 1,8,32
    stop
  done
}

part=${1:-}
shift || true
case $part in
  keep) keep "$@" && exit ;;
  test | sanitize | golden | gate | fault | bench | http | load | structured | serve) unpack ;;
  *) sed -n '1d; /^#/!q; s/^# //p' "$0" && exit 2 ;;
esac
case $part in
  test) run_tests "$@" ;;
  sanitize) sanitize "$@" ;;
  golden) golden ;;
  gate) python3 "$app/scripts/gpu/gate" --device "$device" --work "$home/gate" "$@" ;;
  fault) fault ;;
  bench) for shape in 1b 8b; do "$app/benches/step_bench" "$device" "$shape"; done ;;
  http) if [ $# -gt 0 ]; then http "$@"; else http 8b 1b; fi ;;
  load) load "$@" ;;
  structured) structured ;;
  serve) if [ $# -gt 0 ]; then serve "$@"; else serve cuda cpu; fi ;;
esac
