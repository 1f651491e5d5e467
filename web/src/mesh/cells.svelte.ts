/** The cells of the study in the page: their outlines, what is known of each, and which one a point lies in. */
import { cellToBoundary, h3IndexToSplitLong, latLngToCell, splitLongToH3Index } from 'h3-js';
import type { Table } from 'apache-arrow';
import { api, findScript, recorded } from '../api/api';
import { mark } from '../state/busy.svelte';
import meshWorker from './mesh.worker?worker&url';
import type { MeshAnswer, MeshQuestion } from './mesh.worker';

export interface Cells {
  count: number;
  low: Uint32Array;
  high: Uint32Array;
  table: Table;
  outlines: MeshAnswer;
}

class Holder {
  current = $state.raw<Cells | null>(null);
}

/** The cells, once they are there. */
export const cells = new Holder();
let loading: Promise<Cells> | null = null;

/** Get the cells once; every later call waits for the same answer. */
export function loadCells(): Promise<Cells> {
  loading ??= readCells().catch((error: unknown) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function readCells(): Promise<Cells> {
  // The worker's script is read while the cells are on their way.
  const worker = new Worker(findScript(meshWorker), { type: recorded ? 'classic' : 'module' });
  try {
    const table = await api.arrow('/api/ground/cells.arrow');
    mark('cells read');
    const low = readColumn(table, 'cell_low') as Uint32Array;
    const high = readColumn(table, 'cell_high') as Uint32Array;
    const outlines = await outlineCells(worker, { low, high });
    mark('cells outlined');
    return { count: low.length, low, high, table, outlines };
  } finally {
    worker.terminate();
  }
}

/** A column of numbers as one array. */
export function readColumn(table: Table, name: string): Uint8Array | Uint32Array | Float32Array | Int32Array {
  const column = table.getChild(name);
  if (!column) throw new Error(`The answer has no column ${name}.`);
  return column.toArray();
}

function outlineCells(worker: Worker, question: MeshQuestion): Promise<MeshAnswer> {
  return new Promise((resolve, reject) => {
    worker.onmessage = (event: MessageEvent<MeshAnswer>) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(`The cells could not be outlined: ${event.message}`));
    worker.postMessage(question);
  });
}

/** The row of the cell that holds a point, -1 outside the mesh. Cells stand in the order of their index. */
export function findCell(held: Cells, resolution: number, lon: number, lat: number): number {
  const [low, high] = h3IndexToSplitLong(latLngToCell(lat, lon, resolution));
  const wantLow = low >>> 0;
  const wantHigh = high >>> 0;
  let first = 0;
  let last = held.count - 1;
  while (first <= last) {
    const middle = (first + last) >> 1;
    const difference = held.high[middle] - wantHigh || held.low[middle] - wantLow;
    if (difference === 0) return middle;
    if (difference < 0) first = middle + 1;
    else last = middle - 1;
  }
  return -1;
}

/** H3's own name of a cell. */
export function nameCell(held: Cells, row: number): string {
  return splitLongToH3Index(held.low[row], held.high[row]);
}

/** The outline of a cell as a feature. */
export function outlineFeature(held: Cells, row: number): GeoJSON.FeatureCollection {
  const ring = cellToBoundary([held.low[row], held.high[row]], true);
  return {
    type: 'FeatureCollection',
    features: [{ type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [ring] } }],
  };
}
