#!/usr/bin/env bash
# On the GPU host, from the folder that holds .gpu/: the correctness gate first, then the benches.
#   .gpu/app/run.sh keep          unpacks what this call brought (pieces may come in several calls) into /tmp/jsg-gpu
#   .gpu/app/run.sh test          every operation against the CPU backend
#   .gpu/app/run.sh bench         engine-level figures, 1B and 8B shapes
#   .gpu/app/run.sh serve         the embedded model over HTTP: an answer, and jsg bench
set -euo pipefail
home=/tmp/jsg-gpu
mkdir -p "$home"
keep() {
  [ -f .gpu/app/jsg.tar.xz ] && [ ! -d "$home/jsg" ] && tar -C "$home" -xJf .gpu/app/jsg.tar.xz
  for piece in .gpu/m?/piece; do
    [ -f "$piece" ] && cp "$piece" "$home/$(basename "$(dirname "$piece")")"
  done
  ls -la "$home"
}
# cuBLAS is loaded at run time.
for library in /usr/local/cuda*/targets/*/lib; do export LD_LIBRARY_PATH="$library:${LD_LIBRARY_PATH:-}"; done
jsg() { "$home/jsg/node" "$home/jsg/bin/jsg.js" "$@"; }

# Waits until the server is ready, asks it one question and prints the answer.
ask() {
  "$home/jsg/node" -e '
    const url = process.argv[1];
    const messages = [{ role: "user", content: "Explain in three sentences why the sky is blue." }];
    const body = JSON.stringify({ messages, temperature: 0, max_tokens: 96 });
    (async () => {
      for (let tries = 0; tries < 300; ++tries) {
        const ready = await fetch(`${url}/health`).then((r) => r.ok, () => false);
        if (ready) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const headers = { "Content-Type": "application/json" };
      console.log(await (await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body })).text());
    })();
  ' "$1"
}

serve() {
  local model=$home/model.gguf port=30123 pid
  [ -f "$model" ] || cat "$home"/m? > "$model"
  for device in cuda cpu; do
    "$home/jsg/node" "$home/jsg/bin/jsg.js" launch --model-path "$model" --device "$device" --port "$port" &
    pid=$!
    ask "http://127.0.0.1:$port"
    jsg bench --url "http://127.0.0.1:$port" --batch 1,8,32
    kill -TERM "$pid"
    wait "$pid" || true
  done
}

case ${1:-} in
  keep) keep ;;
  test) "$home/jsg/cuda_backend_test" ;;
  bench) "$home/jsg/step_bench" cuda 1b && "$home/jsg/step_bench" cuda 8b ;;
  serve) serve ;;
  *) sed -n '2,7p' "$0" && exit 2 ;;
esac
