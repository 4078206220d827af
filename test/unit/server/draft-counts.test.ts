import { describe, expect, it } from 'vitest';
import { DraftCounts } from '../../../src/server/draft-counts.js';

const token = (checkedCount?: number) => ({
  tokenId: 1,
  finishReason: null,
  isPrompt: false,
  logprob: Number.NaN,
  topLogprobs: [],
  ...(checkedCount === undefined ? {} : { checkedCount }),
});

describe('DraftCounts', () => {
  it('counts steps, drafts and those that were right', () => {
    const counts = new DraftCounts();
    // The prompt's step; one without drafts; one with three, of which two were right; tokens that a grammar forces.
    for (const checked of [0, 1, 4, 0, 0, 1, 0, 0]) counts.push(token(checked));
    expect(counts.toMetaInfo()).toEqual({
      spec_verify_ct: 3,
      spec_accept_length: 5 / 3,
      spec_accept_rate: 2 / 3,
      spec_num_correct_drafts: 2,
      spec_num_proposed_drafts: 3,
    });
  });

  it('has no share of nothing', () => {
    const counts = new DraftCounts();
    counts.push(token());
    expect(counts.toMetaInfo()).toMatchObject({ spec_verify_ct: 0, spec_accept_length: 0, spec_accept_rate: 0 });
  });
});
