/**
 * What we take from @huggingface/hub, typed here: the package's own declarations import each other without extensions,
 * which TypeScript can't follow under NodeNext. Its downloads neither resume nor check what came: ours do.
 */
import * as library from '@huggingface/hub';

export interface HubFile {
  type: 'file' | 'directory' | 'unknown';
  path: string;
  /** Bytes. */
  size: number;
  /** Git's sha1 of the blob (of the pointer, for files in LFS). */
  oid?: string;
  /** `oid`: sha256 of the file itself. */
  lfs?: { oid: string };
}

interface Request {
  revision?: string;
  hubUrl: string;
  fetch: typeof fetch;
}

interface Library {
  HUB_URL: string;
  /** Honours HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME. */
  getHFHubCachePath(): string;
  modelInfo(request: Request & { name: string; additionalFields: ['sha'] }): Promise<{ sha: string }>;
  listFiles(request: Request & { repo: string; recursive: boolean }): AsyncIterable<HubFile>;
  HubApiError: new (...args: never[]) => Error & { statusCode: number };
}

export const { HUB_URL, getHFHubCachePath, modelInfo, listFiles, HubApiError } = library as unknown as Library;
