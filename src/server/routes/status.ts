/** GET /v1/status: what the page at / shows of the server and its machine. What cannot be read is null. */
import type { ServerContext } from '../context.js';
import { jsonResponse } from '../responses.js';

const startedMs = Date.now();

export async function status({ options, lifecycle, runtime, readMachine }: ServerContext): Promise<Response> {
  const machine = await readMachine?.();
  const memory = (usage: { usedBytes: number; totalBytes: number } | null | undefined) =>
    usage ? { used_bytes: usage.usedBytes, total_bytes: usage.totalBytes } : null;
  const { power, temperature } = machine ?? {};
  return jsonResponse({
    status: lifecycle.phase,
    model: runtime.residency ?? 'loaded',
    served_model_name: options.servedModelName,
    profile: options.profileName ?? null,
    uptime_seconds: Math.round((Date.now() - startedMs) / 1000),
    memory: memory(machine?.memory),
    gpu_memory: memory(machine?.gpuMemory),
    power: power ? { watts: power.watts, of: power.of } : null,
    temperature: temperature
      ? { celsius: temperature.celsius, of: temperature.of, throttles_at: temperature.throttlesAt }
      : null,
  });
}
