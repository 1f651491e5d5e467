/** From the server's charts and tables to what a chart draws, and to what a reader without sight hears. */
import type { AxisAnswer, Cell, ChartAnswer, RowAnswer, TableAnswer } from './types';

/** A cell as a number; null for missing, never and not disclosed. */
export function toNumber(value: Cell | Record<string, string> | undefined): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** "hours [h]": the caption of an axis with its unit. */
export function nameAxis(axis: AxisAnswer): string {
  return axis.unit ? `${axis.caption} [${axis.unit}]` : axis.caption;
}

/** A chart as a table, for those who do not see it. */
export function tellChart(chart: ChartAnswer): TableAnswer {
  return chart.spans?.length ? tellSpans(chart) : tellSeries(chart);
}

function tellSpans(chart: ChartAnswer): TableAnswer {
  return {
    title: chart.title,
    columns: [
      { key: 'label', caption: 'works', format: '' },
      { key: 'begin', caption: 'ordered', format: '.1f' },
      { key: 'work', caption: 'work starts', format: '.1f' },
      { key: 'end', caption: 'finish', format: '.1f' },
      { key: 'is_fixed', caption: 'contracted already', format: '' },
    ],
    rows: (chart.spans ?? []).map((span) => ({ ...span })),
  };
}

function tellSeries(chart: ChartAnswer): TableAnswer {
  const columns = [{ key: 'x', caption: nameAxis(chart.x), format: '' }];
  const rows: RowAnswer[] = (chart.x.values ?? []).map((value) => ({ x: value }));
  for (const one of chart.series) {
    const parts: [string, (number | string | null)[] | undefined][] =
      one.kind === 'band' ? [['low', one.low], ['high', one.high]] : [['', one.values]];
    for (const [part, values] of parts) {
      const key = `${one.key}_${part}`;
      columns.push({ key, caption: part ? `${one.name}, ${part}` : one.name, format: ',.2f' });
      rows.forEach((row, place) => {
        row[key] = values?.[place];
        const of = part ? undefined : one.trace?.[place];
        if (of) row._trace = { ...row._trace, [key]: of };
      });
    }
  }
  return { title: chart.title, columns, rows, note: nameAxis(chart.y) };
}
