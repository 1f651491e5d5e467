/** The answers of the server that parts and views share. */

export interface ColumnAnswer {
  key: string;
  caption: string;
  format: string;
}

export type Cell = string | number | boolean | null | undefined | Cell[] | { [key: string]: Cell };

export interface RowAnswer {
  [key: string]: Cell | Record<string, string> | undefined;
  _trace?: Record<string, string>;
}

export interface TableAnswer {
  title: string;
  columns: ColumnAnswer[];
  rows: RowAnswer[];
  note?: string;
  source?: string;
}

export type Feature = GeoJSON.Feature;
export type FeatureCollection = GeoJSON.FeatureCollection;

export interface AxisAnswer {
  caption: string;
  unit?: string;
  values?: (number | string)[];
}

export interface SeriesAnswer {
  key: string;
  name: string;
  kind: 'bar' | 'line' | 'band';
  values?: (number | string | null)[];
  low?: (number | null)[];
  high?: (number | null)[];
  stack?: string;
  trace?: string[];
}

/** A bar over time: waiting from `begin`, work from `work` to `end`, in years with fractions. */
export interface SpanAnswer {
  label: string;
  begin: number;
  work: number;
  end: number;
  is_fixed?: boolean;
}

export interface ChartAnswer {
  title: string;
  x: AxisAnswer;
  y: AxisAnswer;
  series: SeriesAnswer[];
  spans?: SpanAnswer[];
  note?: string;
}

/** What every view route answers. */
export interface ViewAnswer {
  made: boolean;
  job?: string | null;
  why?: string;
  notes?: string[];
  tables: Record<string, TableAnswer>;
  features: Record<string, FeatureCollection>;
  charts: Record<string, ChartAnswer>;
}

export interface RecordAnswer {
  seq: number;
  recorded_at: string;
  author: string;
  kind: string;
  key: string;
  corrects: number | null;
  corrected_by?: number | null;
  on: string;
  body: Record<string, Cell>;
  source: string;
  tag: string;
  access: string;
  previous_hash: string;
  hash: string;
}

/** One thing that a number rests on; `of` is empty when it goes no further. */
export interface InputAnswer {
  of: string;
  what: string;
  value?: Cell;
  unit?: string;
  tag?: string;
  file?: string;
  key?: string;
  column?: string;
}

export interface TraceAnswer {
  what: string;
  value: Cell;
  unit?: string;
  formula?: string;
  source?: string;
  tag?: string;
  records?: number[];
  inputs?: InputAnswer[];
}

export interface FaultAnswer {
  what?: string;
  where?: string;
  file?: string;
  row?: number | null;
  column?: string;
  problem?: string;
  remedy?: string;
}

export interface JobAnswer {
  id: string;
  kind: string;
  plan?: string | null;
  state: "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted";
  stage?: string;
  share?: number;
  note?: string;
  started?: string | null;
  finished?: string | null;
  result?: unknown;
  error?: FaultAnswer[] | string | null;
}

/** A page of records, newest first. */
export interface RecordsAnswer {
  records: RecordAnswer[];
  page?: number;
  pages?: number;
  total?: number;
  kinds?: Record<string, number>;
}

/** What an import did, or would do: rows read, new ones by kind, rows that stood already. */
export interface ImportAnswer {
  dry_run: boolean;
  rows: number;
  new: Record<string, number>;
  added: number[];
  repeated: { file: string; row: number | null; seq: number }[];
}

/** One record and all that was recorded of the same thing, oldest first. */
export interface HistoryAnswer {
  record: RecordAnswer;
  history: RecordAnswer[];
}
