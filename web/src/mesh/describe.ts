/** A cell in words: every column of the cells' answer, and the value that the map shows now. */
import type { Quantity } from '../api/answers';
import type { InspectRow } from '../state/inspect.svelte';
import { legend } from '../state/legend.svelte';
import { study } from '../state/study.svelte';
import { formatNumber, say, t } from '../words/words.svelte';
import type { Cells } from './cells.svelte';

const SKIPPED = new Set(['cell_low', 'cell_high']);
const NO_WORD = 255;

/** Rows for the box "what is this". */
export function describeCell(held: Cells, row: number): InspectRow[] {
  const rows: InspectRow[] = [];
  const shown = legend.current;
  if (shown && shown.values.length === held.count && shown.unit) {
    rows.push({
      label: shown.title, unit: shown.unit, value: shown.write(shown.values[row]), source: shown.source, tag: shown.tag,
    });
  }
  const quantities = new Map((study.current?.quantities ?? []).map((one) => [one.key, one]));
  for (const field of held.table.schema.fields) {
    if (SKIPPED.has(field.name)) continue;
    rows.push(describeColumn(held, row, field.name, quantities.get(field.name)));
  }
  return rows;
}

function describeColumn(held: Cells, row: number, name: string, quantity: Quantity | undefined): InspectRow {
  const value = Number(held.table.getChild(name)?.get(row));
  const words = listWords(held, name);
  const rest = {
    label: quantity?.caption ?? name.replaceAll('_', ' '), unit: quantity?.unit, source: quantity?.source, tag: quantity?.tag,
  };
  if (words.length === 0) return { ...rest, value: formatNumber(value, Number.isInteger(value) ? 0 : 1) };
  return { ...rest, unit: undefined, value: value === NO_WORD || !(value in words) ? t('none') : say(words[value].replaceAll('_', ' ')) };
}

/** The words that a column of numbers stands for; empty when its numbers mean themselves. */
export function listWords(held: Cells, name: string): string[] {
  const text = held.table.schema.metadata.get(name);
  return text ? text.split(' ') : [];
}
