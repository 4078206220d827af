/**
 * The caps on what a request may ask for. Each one is a class of attack in the project's security notes. Plain data, so
 * that `launch --help` names them and loads nothing else.
 */
export const LIMITS = {
  bodyBytes: 4 * 1024 * 1024,
  /** Bodies over `smallBodyBytes` that are in memory at one time, all requests together. */
  bodyBudgetBytes: 256 * 1024 * 1024,
  smallBodyBytes: 64 * 1024,
  headerBytes: 16 * 1024,
  jsonDepth: 128,
  messages: 2048,
  contentParts: 2048,
  toolCalls: 128,
  prompts: 256,
  /** Of `/tokenize` and `/detokenize`, all texts of a request together. */
  tokenizeChars: 256 * 1024,
  detokenizeIds: 256 * 1024,
  stopStrings: 16,
  stopBytes: 256,
  stopTokenIds: 128,
  logitBias: 1024,
  n: 8,
  timeoutSeconds: 86_400,
  topLogprobs: 20,
  requestIdChars: 128,
  tools: 128,
  schemaBytes: 64 * 1024,
  /** Of schemas inside schemas, and of what their values list. */
  schemaDepth: 64,
  regexBytes: 4 * 1024,
  ebnfBytes: 64 * 1024,
  /** Of parentheses in a regular expression or EBNF. */
  grammarDepth: 128,
  /** Of responses that are kept to be gone on from, all callers together; the oldest of the greediest caller go first. */
  storedResponsesBytes: 32 * 1024 * 1024,
  storedResponseMs: 24 * 3_600_000,
  /** Bytes of a stream that wait for a slow client before its sequences are no longer read. */
  streamBacklogBytes: 64 * 1024,
  /** A client that takes nothing of what waits for it for this long is cut off. */
  streamStallMs: 60_000,
} as const;
