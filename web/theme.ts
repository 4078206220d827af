/** Light, dark, or as the system has it. */
import { effect, signal } from '@preact/signals';
import { kept } from './kept.js';

export type Theme = 'system' | 'light' | 'dark';

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

const stored = kept.read('theme') as Theme | null;
export const theme = signal<Theme>(stored !== null && THEMES.includes(stored) ? stored : 'system');

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  kept.write('theme', theme.value);
});

/** To the opposite of what is seen, and back to the system's own. */
export function switchTheme(): void {
  const systemIsDark = matchMedia('(prefers-color-scheme: dark)').matches;
  theme.value = theme.value === 'system' ? (systemIsDark ? 'light' : 'dark') : 'system';
}
