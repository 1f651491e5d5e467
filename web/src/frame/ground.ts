/** Colours the cells of one or two maps by hours or by land cover, and says so in the legend. */
import type { Stage } from '../map/stage.svelte';
import { findQuantile, scaleClasses, scaleHours, type Scale } from '../map/scales';
import { cells, loadCells, readColumn } from '../mesh/cells.svelte';
import { listWords } from '../mesh/describe';
import { loadHours, type CellHours, type HoursQuestion } from '../mesh/hours';
import { legend } from '../state/legend.svelte';
import { theme } from '../state/page.svelte';
import { findPlan, study } from '../state/study.svelte';
import { formatNumber, say, t } from '../words/words.svelte';

let turn = 0;

/** Colour cells by hours (a question) or by cover (null); the answer says from where to where. */
export async function showGround(question: HoursQuestion | null, stages: Stage[]): Promise<string> {
  const mine = ++turn;
  const [held, found] = await Promise.all([loadCells(), question ? askHours(question) : null]);
  if (mine !== turn) return '';
  cells.current = held;
  if (found) {
    const scale = scaleFor([found.hours]);
    for (const stage of stages) stage.setValues(found.hours, scale);
    tellHours(found, scale);
    return found.words;
  }
  const cover = Float32Array.from(readColumn(held.table, 'cover'), (value) => (value === 255 ? NaN : value));
  const classes = listWords(held, 'cover');
  const scale = scaleClasses(classes, classes.map((word) => say(word.replaceAll('_', ' '))));
  for (const stage of stages) stage.setValues(cover, scale);
  legend.current = { title: t('Land cover'), unit: '', steps: scale.steps, values: cover, write: String, source: '', tag: '' };
  return '';
}

/** Colour two maps by the hours of two questions on one scale. */
export async function showTwoGrounds(questions: [HoursQuestion, HoursQuestion], stages: [Stage, Stage]): Promise<void> {
  const mine = ++turn;
  const [held, first, second] = await Promise.all([loadCells(), askHours(questions[0]), askHours(questions[1])]);
  if (mine !== turn) return;
  cells.current = held;
  const scale = scaleFor([first.hours, second.hours]);
  stages[0].setValues(first.hours, scale);
  stages[1].setValues(second.hours, scale);
  tellHours(first, scale);
}

/** Take the colours of the cells away. */
export function hideGround(stages: Stage[]): void {
  turn += 1;
  legend.current = null;
  for (const stage of stages) stage.setValues(null, null);
}

function askHours(question: HoursQuestion): Promise<CellHours> {
  return loadHours(question, question.plan ? (findPlan(question.plan)?.version ?? '') : '');
}

function writeHours(hours: number): string {
  return formatNumber(hours, Number.isInteger(hours) ? 0 : hours < 1 ? 2 : 1);
}

function scaleFor(all: Float32Array[]): Scale {
  const largest = Math.max(...all.map((hours) => findQuantile(hours, 0.995)));
  return scaleHours(largest, theme.current === 'dark', writeHours, t('never'));
}

function tellHours(found: CellHours, scale: Scale): void {
  const quantity = study.current?.quantities.find((one) => one.key === 'hours');
  legend.current = {
    title: t('Time'), unit: 'h', steps: scale.steps, values: found.hours,
    write: (value) => (Number.isFinite(value) ? formatNumber(value, 2) : t('never')),
    source: quantity?.source ?? '', tag: quantity?.tag ?? '',
  };
}
