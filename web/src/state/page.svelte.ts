/** What the reader is looking at; the address after # says it, so that a link shows the same. */

export interface Camera {
  lon: number;
  lat: number;
  zoom: number;
}

export interface PageState {
  view: string;
  plan: string;
  other: string;
  approach: string;
  season: string;
  vehicle: string;
  date: string;
  show: string;
}

/** In place of an approach: from the nearest front to every place. */
export const ANY = 'any';

const KEYS = ['view', 'plan', 'other', 'approach', 'season', 'vehicle', 'date', 'show'] as const;

export const page = $state<PageState>({
  view: 'ground', plan: '', other: '', approach: '', season: '', vehicle: '', date: '', show: '',
});

/** Where the map stands; null until the reader or a link has moved it. */
export const camera = $state<{ current: Camera | null }>({ current: null });

export type Theme = 'light' | 'dark';
const THEME = 'abatis.theme';

function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(THEME);
    if (kept === 'light' || kept === 'dark') return kept;
  } catch {
    // a page opened from a file may have no storage
  }
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

export const theme = $state<{ current: Theme }>({ current: readTheme() });

/** Change the colours and keep the choice in this browser. */
export function setTheme(next: Theme): void {
  theme.current = next;
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(THEME, next);
  } catch {
    // nothing is kept where storage is closed
  }
}

/** Read the address after #. */
export function readHash(): void {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const key of KEYS) {
    const value = words.get(key);
    if (value !== null) page[key] = value;
    else if (key !== 'view') page[key] = '';
  }
  const at = words.get('at')?.split(',').map(Number);
  if (at && at.length === 3 && at.every(Number.isFinite)) {
    camera.current = { lat: at[0], lon: at[1], zoom: at[2] };
  }
}

/** Write what is shown as an address after #. */
export function writeHash(): string {
  const words = new URLSearchParams();
  for (const key of KEYS) if (page[key]) words.set(key, page[key]);
  const at = camera.current;
  if (at) words.set('at', `${at.lat.toFixed(4)},${at.lon.toFixed(4)},${at.zoom.toFixed(2)}`);
  return `#${words.toString().replaceAll('%2C', ',')}`;
}
