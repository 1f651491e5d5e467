/** The views of the page, in the order of the tabs. */
import type { Component } from 'svelte';
import type { Key } from '../words/words.svelte';

export interface View {
  key: string;
  name: Key;
  /** Beside the map, sharing the page with it, or over the full width without a map. */
  width: 'side' | 'half' | 'full';
  /** The least role that may see it. */
  role: 'public' | 'viewer';
  component: Component;
}

const files = import.meta.glob<{ default: Component }>('./*.svelte', { eager: true });

const LIST: Omit<View, 'component'>[] = [
  { key: 'ground', name: 'Ground', width: 'side', role: 'public' },
  { key: 'plan', name: 'Plan', width: 'side', role: 'viewer' },
  { key: 'line', name: 'Line', width: 'side', role: 'viewer' },
  { key: 'watch', name: 'Watch', width: 'side', role: 'viewer' },
  { key: 'people', name: 'People', width: 'side', role: 'viewer' },
  { key: 'programme', name: 'Programme', width: 'half', role: 'viewer' },
  { key: 'monitor', name: 'Monitor', width: 'full', role: 'public' },
  { key: 'law', name: 'Law', width: 'full', role: 'public' },
  { key: 'compare', name: 'Compare', width: 'side', role: 'viewer' },
];

/** Views whose file is there. */
export const views: View[] = LIST.flatMap((view) => {
  const name = view.key[0].toUpperCase() + view.key.slice(1);
  const found = files[`./${name}.svelte`];
  return found ? [{ ...view, component: found.default }] : [];
});
