/** Hours of every cell, asked once for each question and kept for a while. */
import { api, query } from '../api/api';
import type { Table } from 'apache-arrow';
import { readColumn } from './cells.svelte';

export interface HoursQuestion {
  approach?: string;
  vehicle?: string;
  season?: string;
  plan?: string;
}

export interface CellHours {
  hours: Float32Array;
  /** From where to where, in words of the server. */
  words: string;
}

const MOST_KEPT = 8;
const kept = new Map<string, Promise<CellHours>>();

/** Hours of the cells in the order of the mesh; infinite where there is no way. `version` is the plan's. */
export function loadHours(question: HoursQuestion, version = ''): Promise<CellHours> {
  const path = `/api/ground/times.arrow${query({ ...question })}`;
  const key = `${path} ${version}`;
  const held = kept.get(key);
  if (held) return held;
  const asked = api.arrow(path).then(readHours);
  kept.set(key, asked);
  asked.catch(() => kept.delete(key));
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return asked;
}

function readHours(table: Table): CellHours {
  return { hours: readColumn(table, 'hours') as Float32Array, words: table.schema.metadata.get('from_words') ?? '' };
}
