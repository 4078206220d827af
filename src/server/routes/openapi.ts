/** GET /openapi.json. */
import { version } from '../../version.js';
import { openApiDocument, type RoutePath } from '../openapi/document.js';

/** Made when it is first asked for. */
export function openApi(routes: () => readonly RoutePath[], openPaths: readonly string[]): () => Response {
  let text: string | null = null;
  return () => {
    text ??= JSON.stringify(openApiDocument({ version: version(), routes: routes(), openPaths }));
    return new Response(text, { headers: { 'Content-Type': 'application/json' } });
  };
}
