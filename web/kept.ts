/** What the browser keeps for this page. A browser that keeps nothing (private windows) is no fault. */

function storeOn(get: () => Storage) {
  return {
    read(name: string): string | null {
      try {
        return get().getItem(`jsg.${name}`);
      } catch {
        return null;
      }
    },
    write(name: string, value: string): void {
      try {
        if (value === '') get().removeItem(`jsg.${name}`);
        else get().setItem(`jsg.${name}`, value);
      } catch {
        // It lasts as long as the page, then: nothing rather than what was written before.
        if (value !== '') this.write(name, '');
      }
    },
  };
}

/** Until the user clears it. */
export const kept = storeOn(() => localStorage);
/** Until the tab is closed: the API key. */
export const keptForTab = storeOn(() => sessionStorage);
