/** What the server answers on the study, the ground and plans; parts/types.ts has tables, records and jobs. */
import type { TableAnswer } from '../parts/types';

export type Bounds = [number, number, number, number];
export type Features = GeoJSON.FeatureCollection;
/** Hours; null where there is no way. */
export type Hours = number | null;

/** What a number is: caption, unit, meaning, origin, and the tag of its weakest input. */
export interface Quantity {
  key: string;
  caption: string;
  unit: string;
  meaning: string;
  source: string;
  tag: string;
}

export interface Named {
  key: string;
  name: string;
}

export interface ApproachAnswer extends Named {
  front: string;
  vehicle: string;
  season: string;
  weight: number;
  objective: { key: string; name: string; lon: number; lat: number };
  source: string;
  tag: string;
}

export interface PlanLine {
  name: string;
  title: string;
  status: string;
  value_h: Hours;
  before_h: Hours;
  bound_h: number | null;
  gap: number | null;
  proven: boolean;
  cost_eur: number;
  budget_eur: number;
  sites: number;
  version: string;
  made_by: string;
  made_at: string;
  stale: string;
}

export interface StudyAnswer {
  name: string;
  title: string;
  schematic: boolean;
  note: string;
  home: string[];
  hostile: string[];
  countries: string[];
  resolution: number;
  cell_count: number;
  bounds: Bounds;
  version: string;
  seasons: Named[];
  vehicles: Named[];
  pairs: { vehicle: string; season: string }[];
  approaches: ApproachAnswer[];
  plans: PlanLine[];
  objective: string;
  classes: string[];
  tags: Record<string, string>;
  sources: { layer: string; file: string; licence: string; date: string; source: string; tag: string; attribution: string }[];
  quantities: Quantity[];
  faults: { what: string; where: string; remedy: string }[];
  /** Address of map tiles outside this server; most studies have none. */
  tiles: string;
}

export interface Me {
  user: string;
  role: string;
  csrf: string;
  login_needed: boolean;
  public: boolean;
}

export interface BaseAnswer {
  land: Features;
  water: Features;
  rivers: Features;
  borders: Features;
  roads: Features;
  forests: Features;
  places: Features;
}

export interface IsochronesAnswer extends Features {
  from_words: string;
  quantities: Quantity[];
}

export interface AvenuesAnswer {
  made: boolean;
  job: string;
  features: Record<string, Features>;
  tables: Record<string, TableAnswer>;
}

export interface PlanOption {
  site: string;
  option: string;
  label: string;
  place: string;
  name: string;
  cost_eur: number;
}

export interface PlanAnswer extends PlanLine {
  objective: string;
  proof: string;
  watch: string;
  approaches: { key: string; name: string; weight: number; before_h: Hours; after_h: Hours }[];
  options: PlanOption[];
  rules: string[];
  broken_rules: string[];
  tables: Record<string, TableAnswer>;
  quantities: Quantity[];
}

export interface MeasureUse {
  measure: string;
  name: string;
  quantity: number;
  unit: string;
  unit_cost_eur: number;
  paid: boolean;
  source: string;
  tag: string;
}

export interface SiteOption extends Named {
  cost_eur: number;
  delay_h_open: Hours;
  delay_h_road: Hours;
  measures: MeasureUse[];
}

export interface SiteProperties {
  key: string;
  label: string;
  name: string;
  kind: string;
  echelon: number;
  chosen_option: string | null;
  effect: string;
  gap_km: number;
  lon: number;
  lat: number;
  options: SiteOption[];
}

export type Choices = Record<string, string | null>;

export interface Arrival {
  approach: string;
  name: string;
  weight: number;
  before_h: Hours;
  plan_h: Hours;
  now_h: Hours;
}

export interface SwitchAnswer {
  arrivals: Arrival[];
  value_h: Hours;
  plan_value_h: Hours;
  before_value_h: Hours;
  cost_eur: number;
  plan_cost_eur: number;
  budget_eur: number;
  sites: number;
  changes: { site: string; label: string; before: string | null; now: string | null; cost_eur: number }[];
  broken_rules: string[];
  proven: boolean;
  version: string;
  server_ms: number;
}

export interface WhyAnswer {
  site: string;
  label: string;
  place: string;
  option: string;
  cost_eur: number;
  effect: string;
  loss_h: Hours;
  arrivals: Arrival[];
  broken_rules: string[];
  replacements: { site: string; label: string; place: string; option: string; cost_eur: number; loss_h: Hours }[];
  tried: number;
  words: string;
  table: TableAnswer;
  job: string;
}

export interface CurvePoint {
  budget_eur: number;
  value_h: Hours;
  bound_h: number | null;
  cost_eur: number;
  choices: Record<string, string>;
  changes: Choices;
}

export interface CurveAnswer {
  made: boolean;
  job: string;
  stale: string;
  before_h: Hours;
  points: CurvePoint[];
}

export interface CompareAnswer {
  a: PlanLine;
  b: PlanLine;
  arrivals: Record<string, string | number | null>[];
  sites: Record<string, string>;
  tables: Record<string, TableAnswer>;
}
