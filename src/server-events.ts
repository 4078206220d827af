/** Server-sent events as a client reads them: the command line, and the page in the browser. */

/**
 * The `data:` of each server-sent event, until `[DONE]`. `chunks`: bytes as they come from the network, cut anywhere.
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of chunks) {
    pending += decoder.decode(chunk, { stream: true });
    const events = pending.split(/\r?\n\r?\n/);
    pending = events.pop() ?? '';
    for (const event of events) {
      const data = dataOf(event);
      if (data === '[DONE]') return;
      if (data !== '') yield data;
    }
  }
}

function dataOf(event: string): string {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  return lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
}
