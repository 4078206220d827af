/** Server-sent events as a client reads them: the command line, the bench, and the page in the browser. */

/**
 * The `data:` of each server-sent event, until `[DONE]`. `chunks`: bytes as they come from the network, cut anywhere.
 */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let events: string[] = [];
  const parser = new SseParser((data) => events.push(data));
  for await (const chunk of chunks) {
    parser.push(decoder.decode(chunk, { stream: true }));
    const complete = events;
    events = [];
    for (const data of complete) {
      if (data === '[DONE]') return;
      if (data !== '') yield data;
    }
  }
}

/** Events out of text that is cut anywhere. Made for many small pieces: no copy but the rest. */
export class SseParser {
  /** An unfinished line. */
  #rest = '';
  /** `data:` of the event at hand; null: none yet. */
  #data: string | null = null;

  /** `onData`: told the data of each event. */
  constructor(private readonly onData: (data: string) => void) {}

  /** `piece`: text as it comes, cut anywhere. */
  push(piece: string): void {
    const text = this.#rest + piece;
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#line(text, from, text.charCodeAt(end - 1) === 13 && end > from ? end - 1 : end);
      from = end + 1;
    }
    this.#rest = text.slice(from);
  }

  /** The last event may lack its empty line. */
  end(): void {
    if (this.#rest !== '') this.#line(this.#rest, 0, this.#rest.length);
    this.#rest = '';
    this.#flush();
  }

  #line(text: string, from: number, to: number): void {
    if (from === to) this.#flush();
    if (from === to || !text.startsWith('data:', from)) return;
    const begin = text.charCodeAt(from + 5) === 32 ? from + 6 : from + 5;
    const data = text.slice(begin, to);
    this.#data = this.#data === null ? data : `${this.#data}\n${data}`;
  }

  #flush(): void {
    if (this.#data === null) return;
    const data = this.#data;
    this.#data = null;
    this.onData(data);
  }
}
