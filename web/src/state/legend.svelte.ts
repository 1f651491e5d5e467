/** What the colours of the cells mean now; null while no cells are coloured. */
import type { Step } from '../map/scales';

export interface LegendState {
  title: string;
  unit: string;
  steps: Step[];
  /** Value of each cell, for the box "what is this". */
  values: Float32Array;
  write: (value: number) => string;
  source: string;
  tag: string;
}

class Holder {
  current = $state.raw<LegendState | null>(null);
}

export const legend = new Holder();

/** A line or point on the map and what it means. */
export interface MapKey {
  label: string;
  colour: string;
  width: number;
  /** Dashes and gaps, in widths of the line. */
  dash?: number[];
}

class KeyHolder {
  current = $state.raw<MapKey[]>([]);
}

export const keys = new KeyHolder();
