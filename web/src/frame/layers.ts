/** Draws what views of tables and charts show on the map; a click says what it is. */
import type { Stage } from '../map/stage.svelte';
import type { Look } from '../map/looks';
import type { ViewLayer } from '../parts/layers.svelte';
import { inspect } from '../state/inspect.svelte';
import { formatNumber, say } from '../words/words.svelte';

const PREFIX = 'view-';
let drawn: string[] = [];

/** Show these layers, lowest first, and take away those of before. */
export function drawLayers(stage: Stage, layers: ViewLayer[]): void {
  for (const key of drawn) stage.hide(key);
  drawn = layers.map((layer) => PREFIX + layer.key);
  for (const layer of layers) stage.show(PREFIX + layer.key, layer.features, chooseLook(layer));
}

function chooseLook(layer: ViewLayer): Look {
  const kind = layer.shape === 'fill' ? 'fill' : layer.shape === 'dot' || layer.shape === 'ring' ? 'point' : 'line';
  return {
    kind, colour: layer.color, width: layer.width, opacity: layer.opacity,
    hollow: layer.shape === 'ring', dash: layer.shape === 'dash' ? [3, 2] : undefined, ownColour: layer.byColor,
    onclick: (properties) => inspect({ title: say(layer.caption), rows: listRows(properties) }),
  };
}

/** The properties of a feature as rows; what begins with _ is meant for the map alone. */
export function listRows(properties: Record<string, unknown>): { label: string; value: string; unit?: string; source?: string; tag?: string }[] {
  const { source, tag, ...rest } = properties;
  const rows = Object.entries(rest)
    .filter(([key, value]) => !key.startsWith('_') && value !== null && value !== undefined && value !== '')
    .map(([key, value]) => ({ ...nameProperty(key), value: writeProperty(value) }));
  if (rows.length > 0 && (source || tag)) {
    rows[rows.length - 1] = { ...rows[rows.length - 1], ...{ source: source ? String(source) : undefined, tag: tag ? String(tag) : undefined } };
  }
  return rows;
}

const UNITS: Record<string, string> = { h: 'h', km: 'km', km2: 'km²', m: 'm', eur: 'EUR', ha: 'ha' };

function nameProperty(key: string): { label: string; unit?: string } {
  const parts = key.split('_');
  const unit = parts.length > 1 ? UNITS[parts[parts.length - 1]] : undefined;
  if (!unit) return { label: parts.join(' ') };
  return { label: parts.slice(0, -1).join(' '), unit };
}

function writeProperty(value: unknown): string {
  if (typeof value === 'number') return formatNumber(value, Number.isInteger(value) ? 0 : 2);
  if (typeof value === 'string') return say(value);
  return JSON.stringify(value);
}
