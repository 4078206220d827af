/** What every route works with. */
import type { ServerDeps } from './deps.js';
import type { Lifecycle } from './lifecycle.js';
import type { Metrics } from './metrics.js';

export interface ServerContext extends ServerDeps {
  lifecycle: Lifecycle;
  metrics: Metrics;
}
