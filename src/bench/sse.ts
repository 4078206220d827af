/** Server-sent events as they come from the network, cut anywhere. Made for many small chunks: no copy but the rest. */
import { StringDecoder } from 'node:string_decoder';

export class SseParser {
  readonly #decoder = new StringDecoder('utf8');
  /** An unfinished line. */
  #rest = '';
  /** `data:` of the event at hand; null: none yet. */
  #data: string | null = null;

  /** `onData`: told the data of each event. */
  constructor(private readonly onData: (data: string) => void) {}

  push(bytes: Buffer): void {
    const text = this.#rest + this.#decoder.write(bytes);
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
