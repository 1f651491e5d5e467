/** "What is this?": the box that says what was clicked, with unit, source and tag. */

export interface InspectRow {
  label: string;
  value: string | number;
  unit?: string;
  source?: string;
  tag?: string;
  trace?: string;
}

export interface Inspected {
  title: string;
  rows: InspectRow[];
}

export const inspected = $state<{ current: Inspected | null }>({ current: null });

/** Open the box. */
export function inspect(what: Inspected): void {
  inspected.current = what;
}

/** Close the box. */
export function closeInspect(): void {
  inspected.current = null;
}
