/** POST /abort_request. */
import { z } from 'zod';
import { LIMITS } from '../limits.js';
import { boolean, string } from './fields.js';
import type { RequestShape } from './parse.js';

const schema = z.object({ rid: string(LIMITS.requestIdChars), abort_all: boolean() });

export const abortShape: RequestShape<typeof schema> = {
  schema,
  refusals: {},
  accepted: ['finished_reason', 'abort_message'],
};
