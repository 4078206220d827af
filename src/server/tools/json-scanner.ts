/** Finds where one JSON value ends, in text that comes in pieces. Says nothing of whether it is valid. */
export class JsonScanner {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #begun = false;

  /** Characters of `text` that belong to the value; `ended`: the value ends there. */
  push(text: string): { length: number; ended: boolean } {
    for (let i = 0; i < text.length; i++) {
      const char = text[i] as string;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (char === '\\') this.#escaped = true;
        else if (char === '"') {
          this.#inString = false;
          if (this.#depth === 0) return { length: i + 1, ended: true };
        }
      } else if (char === '"') {
        this.#inString = true;
        this.#begun = true;
      } else if (char === '{' || char === '[') {
        this.#depth++;
        this.#begun = true;
      } else if (char === '}' || char === ']') {
        // A bare number or word ends before what closes its surroundings.
        if (this.#depth === 0) return { length: i, ended: true };
        if (--this.#depth === 0) return { length: i + 1, ended: true };
      } else if (this.#depth === 0 && /[\s,]/.test(char)) {
        if (this.#begun) return { length: i, ended: true };
      } else {
        this.#begun = true;
      }
    }
    return { length: text.length, ended: false };
  }
}
