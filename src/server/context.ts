/** What every route works with. */
import type { ServerDeps } from './deps.js';
import type { Lifecycle } from './lifecycle.js';
import type { Metrics } from './metrics.js';
import type { ResponseStore } from './responses-api/store.js';

export interface ServerContext extends ServerDeps {
  lifecycle: Lifecycle;
  metrics: Metrics;
  storedResponses: ResponseStore;
}
